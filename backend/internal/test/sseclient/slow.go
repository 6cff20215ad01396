package sseclient

import (
	"context"
	"io"
	"math/rand/v2"
	"time"
)

// slowPiece is the number of bytes per read of a slow reader.
const slowPiece = 256

// Slowly returns a wrapper for [Client.Reader] that reads about bytesPerSecond until hurry is
// closed.
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

func (s *slowReader) Read(p []byte) (int, error) {
	select {
	case <-s.hurry:
	case <-time.After(s.pause):
	case <-s.ctx.Done():
	}
	select {
	case <-s.hurry: // hurry may be closed at the same time as the others are ready
		return s.r.Read(p)
	default:
		return s.r.Read(p[:min(len(p), slowPiece)])
	}
}

// InTurns returns a wrapper for [Client.Reader] that alternates between reading and pausing until
// hurry is closed. The durations are means.
func InTurns(reading, pausing time.Duration, hurry <-chan struct{}) func(context.Context, io.Reader) io.Reader {
	return func(ctx context.Context, r io.Reader) io.Reader {
		return &turnsReader{ctx: ctx, r: r, reading: reading, pausing: pausing, hurry: hurry, until: random(reading)}
	}
}

type turnsReader struct {
	ctx              context.Context
	r                io.Reader
	reading, pausing time.Duration
	hurry            <-chan struct{}
	until            time.Time // start of the next pause
}

func (t *turnsReader) Read(p []byte) (int, error) {
	if time.Now().After(t.until) {
		select {
		case <-t.hurry:
		case <-time.After(time.Until(random(t.pausing))):
		case <-t.ctx.Done():
		}
		t.until = random(t.reading)
	}
	return t.r.Read(p)
}

// random returns a time after a random duration.
func random(mean time.Duration) time.Time {
	return time.Now().Add(time.Duration(rand.ExpFloat64() * float64(mean)))
}
