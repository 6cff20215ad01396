package sseclient

import (
	"context"
	"io"
	"time"
)

// slowPiece is how much a slow reader takes at once.
const slowPiece = 256

// Slowly returns a wrapper for [Client.Reader] that takes about bytesPerSecond until
// hurry is closed.
func Slowly(bytesPerSecond int, hurry <-chan struct{}) func(context.Context, io.Reader) io.Reader {
	pause := slowPiece * time.Second / time.Duration(bytesPerSecond)
	return func(ctx context.Context, r io.Reader) io.Reader {
		return &slowReader{ctx, r, pause, hurry}
	}
}

type slowReader struct {
	ctx   context.Context
	r     io.Reader
	pause time.Duration
	hurry <-chan struct{}
}

// Read implements [io.Reader].
func (s *slowReader) Read(p []byte) (int, error) {
	select {
	case <-s.hurry:
	case <-time.After(s.pause):
	case <-s.ctx.Done():
	}
	select {
	case <-s.hurry: // it may have come together with the others
		return s.r.Read(p)
	default:
		return s.r.Read(p[:min(len(p), slowPiece)])
	}
}
