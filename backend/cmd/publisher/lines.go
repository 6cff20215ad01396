package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sluice/internal/demo"
	"sluice/internal/event"
	"sluice/internal/source"
)

// maxLine bounds a line; a longer one ends the program, since a part of it would pass
// for the whole.
const maxLine = 1 << 20

var errLongLine = fmt.Errorf("a line is longer than %d bytes; cut long lines before, with `cut -b` for instance", maxLine)

// publishLines publishes each line of r, in order. While that fails it holds the line
// and tries again, so no line is skipped; a line whose answer was lost may be published
// twice. It returns an error that wraps [source.ErrWrongType] at once.
func publishLines(ctx context.Context, r io.Reader, topic event.Topic, publish demo.Publish, log *slog.Logger) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine+len("\r\n"))
	for lines.Scan() {
		if len(lines.Bytes()) > maxLine {
			return errLongLine
		}
		if err := publishUntilDone(ctx, topic, lines.Bytes(), publish, log); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return errLongLine
	}
	return lines.Err()
}

func publishUntilDone(ctx context.Context, topic event.Topic, line []byte, publish demo.Publish, log *slog.Logger) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 2*time.Second
	for failures := 0; ; failures++ {
		err := publish(ctx, topic, demo.Message{Data: line})
		if err == nil {
			if failures > 0 {
				log.Info("publishing again")
			}
			return nil
		}
		if errors.Is(err, source.ErrWrongType) {
			return err
		}
		if failures == 0 {
			log.Warn("cannot publish; holding the line and trying again", "error", err)
		}
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
