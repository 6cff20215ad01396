package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"
)

const (
	progressEvery = 500 * time.Millisecond
	clearLine     = "\r\x1b[K"
)

// showProgress prints a progress line and updates it, if w is a terminal. The function that it
// returns stops this and clears the line.
func (b *bench) showProgress(w io.Writer) func() {
	file, ok := w.(*os.File)
	if !ok || !isatty.IsTerminal(file.Fd()) {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		start, before := time.Now(), int64(0)
		for {
			select {
			case <-stop:
				fmt.Fprint(w, clearLine)
				return
			case <-time.After(progressEvery):
			}
			now := b.progress()
			perSecond := (now.received - before) * int64(time.Second/progressEvery)
			before = now.received
			fmt.Fprintf(w, "%s%s  %s of %s connected  %s published  %s delivered  %s/s",
				clearLine, time.Since(start).Round(time.Second),
				humanize.Comma(now.connected), humanize.Comma(int64(b.flags.Subscribers)),
				humanize.Comma(now.published), humanize.Comma(now.received), humanize.Comma(perSecond))
		}
	}()
	return func() { close(stop); <-stopped }
}

// progress holds the current counts.
type progress struct {
	connected, published, received int64
}

func (b *bench) progress() progress {
	var now progress
	for _, p := range b.publications {
		now.published += p.Begun()
	}
	for _, s := range b.subscribers {
		if s.connected.Load() {
			now.connected++
		}
		now.received += s.received.Load()
	}
	return now
}
