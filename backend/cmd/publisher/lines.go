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

// maxLine bounds the size of a line in bytes. A longer line ends the program, because a subscriber
// could not distinguish a part of a line from a whole line.
const maxLine = 1 << 20

// errLongLine is returned for a line that is longer than maxLine.
var errLongLine = fmt.Errorf("a line is longer than %d bytes; shorten long lines first, for instance with `cut -b`", maxLine)

// publishLines publishes each line of r, in order, until the end of r. If a publish fails, it retries
// the same line, so no line is skipped. A line may be published twice if the response of Redis was
// lost. It does not retry after an error that wraps [source.ErrWrongType].
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

// publishUntilDone retries with growing pauses until a line is published, the context ends, or the
// topic has the wrong type.
func publishUntilDone(ctx context.Context, topic event.Topic, line []byte, publish demo.Publish, log *slog.Logger) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 2*time.Second
	failures := 0
	_, err := backoff.Retry(ctx, func() (event.StreamID, error) {
		id, err := publish(ctx, topic, source.Message{Data: line, MaxLen: source.DefaultMaxLen})
		if errors.Is(err, source.ErrWrongType) {
			err = backoff.Permanent(err)
		}
		return id, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		if failures == 0 {
			log.Warn("line not published, retrying", "error", err)
		}
		failures++
	}))
	if err == nil && failures > 0 {
		log.Info("line published after retries", "retries", failures)
	}
	return err
}
