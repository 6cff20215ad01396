package audit

import (
	"context"
	"time"

	"sluice/internal/event"
)

// Publish publishes once to a topic. It must not try again by itself after an error
// that leaves open whether the message was taken.
type Publish func(ctx context.Context, topic event.Topic, data []byte) error

const (
	// failurePause is the time between two attempts while publishing fails.
	failurePause = 100 * time.Millisecond
	// mostBehind is how far a publisher may fall behind its rate and still make up for it.
	mostBehind = time.Second
	// settled is how many messages in a row must be taken before it is certain that none
	// before them is still under way.
	settled = 2
)

// Steadily publishes at a rate of messages in a second, of at least size bytes, until
// the context ends. A failure is no reason to stop; failed, if not nil, is told of it.
func (p *Publication) Steadily(ctx context.Context, rate float64, size int, publish Publish, failed func(error)) {
	every := time.Duration(float64(time.Second) / rate)
	for due := time.Now(); ctx.Err() == nil; due = due.Add(every) {
		if behind := time.Since(due); behind > mostBehind {
			due = due.Add(behind)
		}
		if !pause(ctx, time.Until(due)) {
			return
		}
		if err := p.Once(ctx, size, publish); err != nil {
			if failed != nil {
				failed(err)
			}
			pause(ctx, failurePause)
		}
	}
}

// Once publishes the next message. What has begun is finished although the context
// ends.
func (p *Publication) Once(ctx context.Context, size int, publish Publish) error {
	err := publish(context.WithoutCancel(ctx), p.topic, p.Next(size))
	p.Done(err)
	return err
}

// Conclude publishes until it is certain which message is the last one, or the context
// ends.
func (p *Publication) Conclude(ctx context.Context, size int, publish Publish) error {
	for taken := 0; taken < settled; {
		if err := p.Once(ctx, size, publish); err == nil {
			taken++
			continue
		}
		taken = 0
		if !pause(ctx, failurePause) {
			return ctx.Err()
		}
	}
	return nil
}

// pause reports whether the time passed before the context ended.
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
