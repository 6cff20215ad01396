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

// showProgress keeps one line up to date if w is a terminal. What it returns ends that
// and removes the line.
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
			now := b.figures()
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

// figures are those of the moment.
type figures struct {
	connected, published, received int64
}

func (b *bench) figures() figures {
	var f figures
	for _, p := range b.publications {
		f.published += p.Begun()
	}
	for _, s := range b.subscribers {
		if s.connected.Load() {
			f.connected++
		}
		f.received += s.received.Load()
	}
	return f
}
