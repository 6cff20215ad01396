package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"sluice/internal/audit"
	"sluice/internal/event"
)

// tick is how often the state is looked at while something is awaited.
const tick = 50 * time.Millisecond

// tailEvery is how long a topic must be still before another message is published to
// it for those who lack the last one: a channel tells only so that something is missing.
const tailEvery = time.Second

// bench is one measurement.
type bench struct {
	flags        flags
	publish      audit.Publish
	publications []*audit.Publication
	subscribers  []*subscriber
	latencies    *latencies
	storm        *storm        // nil if there is none
	calm         chan struct{} // closed when all have to behave well
	refused      chan error    // with what a subscriber was refused for good

	mu           sync.Mutex
	publishError error // the newest
}

// measure runs a measurement. early ends the publishing before its time.
func measure(ctx, early context.Context, f flags, stderr io.Writer) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	publish, closePublisher, err := newPublish(f)
	if err != nil {
		return result{}, err
	}
	defer closePublisher()
	b := &bench{
		flags:     f,
		publish:   publish,
		latencies: newLatencies(),
		calm:      make(chan struct{}),
		refused:   make(chan error, 1),
	}
	if f.Storm > 0 {
		b.storm = newStorm(f)
	}
	id := strings.ToLower(rand.Text()[:8])
	for _, t := range f.Topics {
		b.publications = append(b.publications, audit.NewPublication(id, t))
	}
	b.subscribers = b.newSubscribers()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	defer b.showProgress(stderr)()

	if err := b.connect(ctx, early, &running); err != nil {
		return result{}, err
	}
	took, err := b.publishAll(ctx, early)
	if err != nil {
		return result{}, err
	}
	close(b.calm)
	b.await(ctx, early)
	return b.result(took), nil
}

// connect starts the subscribers and returns when all are connected.
func (b *bench) connect(ctx, early context.Context, running *sync.WaitGroup) error {
	for _, s := range b.subscribers {
		running.Go(func() { s.run(ctx) })
	}
	movement := newMovement(b.flags.Patience)
	for {
		connected := b.opened(1)
		if connected == len(b.subscribers) {
			return nil
		}
		if !movement.goesOn(int64(connected)) {
			return fmt.Errorf("only %d of %d subscribers could connect: %w", connected, len(b.subscribers), b.subscriberError())
		}
		select {
		case err := <-b.refused:
			return err
		case <-early.Done():
			return fmt.Errorf("interrupted before all subscribers were connected")
		case <-time.After(tick):
		}
	}
}

// opened counts the subscribers that connected at least that many times.
func (b *bench) opened(times int64) int {
	n := 0
	for _, s := range b.subscribers {
		if s.books.Opened() >= times {
			n++
		}
	}
	return n
}

// subscriberError returns why some subscriber is not connected.
func (b *bench) subscriberError() error {
	for _, s := range b.subscribers {
		if err := s.lastError(); err != nil && !s.connected.Load() {
			return err
		}
	}
	return fmt.Errorf("no answer")
}

// publishAll publishes to all topics for the time that was asked for, and returns how
// long that was.
func (b *bench) publishAll(ctx, early context.Context) (time.Duration, error) {
	for _, p := range b.publications { // what fails at once needs no patience
		if err := p.Once(ctx, b.flags.Size, b.publish); err != nil {
			return 0, fmt.Errorf("publishing to %s failed: %w", p.Topic(), err)
		}
	}
	start := time.Now()
	publishing, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, p := range b.publications {
		running.Go(func() { p.Steadily(publishing, b.flags.Rate, b.flags.Size, b.publish, b.failed) })
	}
	if b.storm != nil {
		if err := b.ride(early); err != nil {
			return 0, err
		}
	}
	select {
	case err := <-b.refused:
		return 0, err
	case <-early.Done():
	case <-time.After(time.Until(start.Add(b.flags.Duration))):
	}
	stop()
	running.Wait()
	took := time.Since(start)
	for _, p := range b.publications {
		concluding, giveUp := context.WithTimeout(ctx, b.flags.Patience)
		err := p.Conclude(concluding, b.flags.Size, b.publish)
		giveUp()
		if err != nil {
			return 0, fmt.Errorf("publishing to %s failed: %w", p.Topic(), b.lastPublishError())
		}
	}
	return took, nil
}

func (b *bench) failed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.publishError = err
}

func (b *bench) lastPublishError() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.publishError
}

// await waits until every subscriber has the last message, or nothing moves any more.
func (b *bench) await(ctx, early context.Context) {
	movement := newMovement(b.flags.Patience)
	still := newMovement(tailEvery)
	interrupted := early.Err() != nil
	for {
		received, behind := b.state()
		if len(behind) == 0 || !movement.goesOn(received) {
			return
		}
		if !still.goesOn(received) {
			for _, p := range b.publications {
				if behind[p.Topic()] > 0 {
					if err := p.Once(ctx, b.flags.Size, b.publish); err != nil {
						b.failed(err)
					}
				}
			}
			still = newMovement(tailEvery)
		}
		if !interrupted && early.Err() != nil {
			return
		}
		time.Sleep(tick)
	}
}

// state returns how many messages were received, and how many subscribers lack the last
// one of each topic.
func (b *bench) state() (received int64, behind map[event.Topic]int) {
	behind = make(map[event.Topic]int)
	var list []event.Topic
	for _, s := range b.subscribers {
		received += s.received.Load()
		for _, t := range s.books.Behind(list[:0]) {
			behind[t]++
		}
	}
	return received, behind
}

// movement tells whether a number still changes.
type movement struct {
	patience time.Duration
	value    int64
	since    time.Time
}

func newMovement(patience time.Duration) *movement {
	return &movement{patience: patience, value: -1}
}

// goesOn reports whether the number changed within the time of patience.
func (m *movement) goesOn(value int64) bool {
	if value != m.value {
		m.value, m.since = value, time.Now()
	}
	return time.Since(m.since) < m.patience
}
