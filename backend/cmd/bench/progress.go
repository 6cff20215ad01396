package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"

	"sluice/internal/audit"
)

const (
	progressEvery = 500 * time.Millisecond
	clearLine     = "\r\x1b[K"
)

// showProgress prints a progress line and updates it until the context ends, if w is a terminal. It
// clears the line before it returns.
func (b *bench) showProgress(ctx context.Context, w io.Writer) {
	file, ok := w.(*os.File)
	if !ok || !isatty.IsTerminal(file.Fd()) {
		return
	}
	defer fmt.Fprint(w, clearLine)
	start, before := time.Now(), int64(0)
	for audit.Pause(ctx, progressEvery) {
		var connected, published, received int64
		for _, p := range b.publications {
			published += p.Begun()
		}
		for _, s := range b.subscribers {
			if s.connected.Load() {
				connected++
			}
			received += s.received.Load()
		}
		perSecond := (received - before) * int64(time.Second/progressEvery)
		before = received
		fmt.Fprintf(w, "%s%s  %s of %s connected  %s published  %s delivered  %s/s",
			clearLine, time.Since(start).Round(time.Second),
			humanize.Comma(connected), humanize.Comma(int64(b.flags.Subscribers)),
			humanize.Comma(published), humanize.Comma(received), humanize.Comma(perSecond))
	}
}
