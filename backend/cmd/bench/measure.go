package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"sluice/internal/audit"
	"sluice/internal/event"
)

// tick is the interval between checks while the bench waits for a condition.
const tick = 50 * time.Millisecond

// openedTick is the interval between checks whether all subscribers are connected.
const openedTick = 10 * time.Millisecond

// tailEvery is the time without deliveries after which another message is published to each
// topic that is not complete. On a channel, only a later message shows that one is missing.
const tailEvery = time.Second

// bench is one measurement.
type bench struct {
	flags        flags
	publish      audit.Publish
	publications []*audit.Publication
	subscribers  []*subscriber
	latencies    *latencies
	opened       atomic.Int64        // subscribers whose first connection was opened
	connecting   *semaphore.Weighted // bounds the first connections that are being opened
	storm        *storm              // nil without --storm
	settling     chan struct{}       // closed after publishing; ends churn and slow reading
	rejected     chan error          // error after which a subscriber does not reconnect
}

// measure runs a measurement. The end of early ends publishing before the configured time.
func measure(ctx, early context.Context, f flags, stderr io.Writer) (result, error) {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	publish, closePublisher, err := newPublish(f)
	if err != nil {
		return result{}, err
	}
	defer closePublisher()
	b := &bench{
		flags:      f,
		publish:    publish,
		latencies:  newLatencies(),
		connecting: semaphore.NewWeighted(maxConnecting),
		settling:   make(chan struct{}),
		rejected:   make(chan error, 1),
	}
	if f.Storm > 0 {
		b.storm = &storm{reconnect: make(chan struct{})}
		b.storm.disconnected, b.storm.disconnect = context.WithCancel(ctx)
	}
	id := strings.ToLower(rand.Text()[:8])
	for _, t := range f.Topics {
		b.publications = append(b.publications, audit.NewPublication(id, t))
	}
	b.subscribers = b.newSubscribers()
	running.Go(func() { b.showProgress(ctx, stderr) })
	for _, s := range b.subscribers {
		running.Go(func() { s.run(ctx) })
	}
	if err := b.awaitOpened(early, &b.opened, "connect", errors.New("interrupted before all subscribers were connected")); err != nil {
		return result{}, err
	}
	took, err := b.publishAll(ctx, early)
	if err != nil {
		return result{}, err
	}
	close(b.settling)
	b.await(ctx, early)
	return b.result(took), nil
}

// awaitOpened waits until opened counts all subscribers. It returns interrupted if early ends before.
func (b *bench) awaitOpened(early context.Context, opened *atomic.Int64, verb string, interrupted error) error {
	progress := stallDetector{patience: b.flags.Patience}
	for {
		n := opened.Load()
		if n == int64(len(b.subscribers)) {
			return nil
		}
		if progress.stalled(n) {
			return fmt.Errorf("only %d of %d subscribers could %s: %w", n, len(b.subscribers), verb, b.subscriberError())
		}
		select {
		case err := <-b.rejected:
			return err
		case <-early.Done():
			return interrupted
		case <-time.After(openedTick):
		}
	}
}

// subscriberError returns the last error of a subscriber that is not connected.
func (b *bench) subscriberError() error {
	for _, s := range b.subscribers {
		if err := s.err.Load(); err != nil && !s.connected.Load() {
			return *err
		}
	}
	return errors.New("no response")
}

// publishAll publishes to all topics for the configured time, and returns the actual time.
func (b *bench) publishAll(ctx, early context.Context) (time.Duration, error) {
	for _, p := range b.publications { // report a permanent error at once, without retries
		if err := p.PublishNext(ctx, b.flags.Size, b.publish); err != nil {
			return 0, fmt.Errorf("publishing to %s failed: %w", p.Topic, err)
		}
	}
	start := time.Now()
	var running sync.WaitGroup
	defer running.Wait()
	publishing, stop := context.WithCancel(ctx)
	defer stop()
	for _, p := range b.publications {
		running.Go(func() { p.PublishAtRate(publishing, b.flags.Rate, b.flags.Size, b.publish) })
	}
	if b.storm != nil {
		if err := b.runStorm(early); err != nil {
			return 0, err
		}
	}
	select {
	case err := <-b.rejected:
		return 0, err
	case <-early.Done():
	case <-time.After(time.Until(start.Add(b.flags.Duration))):
	}
	stop()
	running.Wait()
	took := time.Since(start)
	for _, p := range b.publications {
		concluding, cancel := context.WithTimeout(ctx, b.flags.Patience)
		err := p.Conclude(concluding, b.flags.Size, b.publish)
		cancel()
		if err != nil {
			return 0, fmt.Errorf("publishing to %s failed: %w", p.Topic, err)
		}
	}
	return took, nil
}

// await waits until every subscriber has the last message, or the number of received messages
// has not changed for the patience.
func (b *bench) await(ctx, early context.Context) {
	progress := stallDetector{patience: b.flags.Patience}
	tail := stallDetector{patience: tailEvery}
	if early.Err() != nil { // the signal that ended publishing does not end this too
		early = ctx
	}
	for {
		received, behind := b.state()
		if len(behind) == 0 || progress.stalled(received) {
			return
		}
		if tail.stalled(received) {
			for _, p := range b.publications {
				if behind[p.Topic] > 0 {
					_ = p.PublishNext(ctx, b.flags.Size, b.publish) // after an error, the next message shows the same
				}
			}
			tail = stallDetector{patience: tailEvery}
		}
		if !audit.Pause(early, tick) {
			return
		}
	}
}

// state returns the number of messages received, and for each incomplete topic the number of
// subscribers that have not received its last message.
func (b *bench) state() (received int64, behind map[event.Topic]int) {
	behind = make(map[event.Topic]int)
	for _, s := range b.subscribers {
		received += s.received.Load()
		for _, t := range s.recorder.Behind() {
			behind[t]++
		}
	}
	return received, behind
}

// stallDetector detects that a number has stopped changing.
type stallDetector struct {
	patience time.Duration
	value    int64
	since    time.Time // time of the last change; zero before the first value
}

// stalled records the current number. It reports whether the number has not changed for the
// patience.
func (d *stallDetector) stalled(value int64) bool {
	if value != d.value || d.since.IsZero() {
		d.value, d.since = value, time.Now()
	}
	return time.Since(d.since) >= d.patience
}
