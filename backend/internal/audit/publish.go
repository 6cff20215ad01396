package audit

import (
	"context"
	"time"

	"sluice/internal/event"
)

// Publish publishes a message to a topic once. It must not retry after an error that leaves
// open whether the message was accepted.
type Publish func(ctx context.Context, topic event.Topic, data []byte) error

const (
	// failurePause is the pause after a failed publish.
	failurePause = 100 * time.Millisecond
	// maxDelay is the longest delay that a publisher catches up on. A longer delay reduces the
	// number of messages.
	maxDelay = time.Second
	// settled is the number of consecutive accepted messages after which no earlier message
	// is still in flight.
	settled = 2
)

// PublishAtRate publishes messages of at least size bytes, rate of them per second, until the
// context ends. It continues after an error and passes the error to failed, if failed is not nil.
func (p *Publication) PublishAtRate(ctx context.Context, rate float64, size int, publish Publish, failed func(error)) {
	every := time.Duration(float64(time.Second) / rate)
	for due := time.Now(); ctx.Err() == nil; due = due.Add(every) {
		if delay := time.Since(due); delay > maxDelay {
			due = due.Add(delay)
		}
		if !pause(ctx, time.Until(due)) {
			return
		}
		if err := p.PublishNext(ctx, size, publish); err != nil {
			if failed != nil {
				failed(err)
			}
			pause(ctx, failurePause)
		}
	}
}

// PublishNext publishes the next message. The end of the context does not interrupt it.
func (p *Publication) PublishNext(ctx context.Context, size int, publish Publish) error {
	err := publish(context.WithoutCancel(ctx), p.topic, p.Next(size))
	p.Done(err)
	return err
}

// Conclude publishes until it is certain which message is the last one. It returns the error
// of the context if the context ends before.
func (p *Publication) Conclude(ctx context.Context, size int, publish Publish) error {
	for accepted := 0; accepted < settled; {
		if err := p.PublishNext(ctx, size, publish); err == nil {
			accepted++
			continue
		}
		accepted = 0
		if !pause(ctx, failurePause) {
			return ctx.Err()
		}
	}
	return nil
}

// pause waits for a time. It returns false if the context ends before.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
