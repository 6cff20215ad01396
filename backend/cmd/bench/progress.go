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
			connected, published, received := b.progress()
			perSecond := (received - before) * int64(time.Second/progressEvery)
			before = received
			fmt.Fprintf(w, "%s%s  %s of %s connected  %s published  %s delivered  %s/s",
				clearLine, time.Since(start).Round(time.Second),
				humanize.Comma(connected), humanize.Comma(int64(b.flags.Subscribers)),
				humanize.Comma(published), humanize.Comma(received), humanize.Comma(perSecond))
		}
	}()
	return func() { close(stop); <-stopped }
}

// progress returns the current counts.
func (b *bench) progress() (connected, published, received int64) {
	for _, p := range b.publications {
		published += p.Begun()
	}
	for _, s := range b.subscribers {
		if s.connected.Load() {
			connected++
		}
		received += s.received.Load()
	}
	return connected, published, received
}
