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
// context ends. It continues after an error.
func (p *Publication) PublishAtRate(ctx context.Context, rate float64, size int, publish Publish) {
	every := time.Duration(float64(time.Second) / rate)
	for due := time.Now(); Pause(ctx, time.Until(due)); due = due.Add(every) {
		if delay := time.Since(due); delay > maxDelay {
			due = due.Add(delay)
		}
		if p.PublishNext(ctx, size, publish) != nil {
			Pause(ctx, failurePause)
		}
	}
}

// PublishNext publishes the next message. The end of the context does not interrupt it.
func (p *Publication) PublishNext(ctx context.Context, size int, publish Publish) error {
	err := publish(context.WithoutCancel(ctx), p.Topic, p.Next(size))
	p.Done(err)
	return err
}

// Conclude publishes until it is certain which message is the last one. It returns the error
// of the last publish if the context ends before.
func (p *Publication) Conclude(ctx context.Context, size int, publish Publish) error {
	for accepted := 0; accepted < settled; {
		err := p.PublishNext(ctx, size, publish)
		if err == nil {
			accepted++
			continue
		}
		accepted = 0
		if !Pause(ctx, failurePause) {
			return err
		}
	}
	return nil
}

// Pause waits for a time. It returns false if the context ends before.
func Pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
