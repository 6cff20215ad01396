package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// stormTick is the interval between counts of the connected subscribers.
const stormTick = 10 * time.Millisecond

// errInterrupted is returned when a signal ends a storm before all subscribers are connected.
var errInterrupted = errors.New("interrupted before all subscribers were connected again")

// storm simulates the failure of a gateway or a network: all subscribers disconnect at once, and
// reconnect at once when the targets are ready again.
type storm struct {
	flags      flags
	disconnect chan struct{} // closed when the subscribers disconnect
	reconnect  chan struct{} // closed when the subscribers may reconnect
	took       time.Duration // time until all were connected again
}

func newStorm(f flags) *storm {
	return &storm{flags: f, disconnect: make(chan struct{}), reconnect: make(chan struct{})}
}

// run calls follow, cancels its context when the subscribers disconnect, and returns when they
// may reconnect or ctx ends.
func (s *storm) run(ctx context.Context, follow func(context.Context)) {
	before, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.disconnect:
			cancel()
		case <-before.Done():
		}
	}()
	follow(before)
	select {
	case <-s.reconnect:
	case <-ctx.Done():
	}
}

// runStorm disconnects all subscribers, and returns when all are connected again. It blocks for
// half of the configured duration first.
func (b *bench) runStorm(early context.Context) error {
	s := b.storm
	if !wait(early, b.flags.Duration/2) {
		return errInterrupted
	}
	close(s.disconnect)
	if !wait(early, b.flags.Storm) {
		return errInterrupted
	}
	for waiting := newStallDetector(b.flags.Patience); !s.ready(early); {
		if waiting.stalled(0) {
			return errors.New("the targets were not ready again after the storm")
		}
		if !wait(early, tick) {
			return errInterrupted
		}
	}
	opened := make([]int64, len(b.subscribers))
	for i, sub := range b.subscribers {
		opened[i] = sub.recorder.Opened()
	}
	start := time.Now()
	close(s.reconnect)
	for progress := newStallDetector(b.flags.Patience); ; {
		connected := 0
		for i, sub := range b.subscribers {
			if sub.recorder.Opened() > opened[i] {
				connected++
			}
		}
		if connected == len(b.subscribers) {
			s.took = time.Since(start)
			return nil
		}
		if progress.stalled(int64(connected)) {
			return fmt.Errorf("only %d of %d subscribers could reconnect: %w", connected, len(b.subscribers), b.subscriberError())
		}
		if !wait(early, stormTick) {
			return errInterrupted
		}
	}
}

// ready reports whether /readyz of every target returns 200 OK.
func (s *storm) ready(ctx context.Context) bool {
	for _, target := range s.flags.Targets {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(eventsURL(target), eventsPath)+"/readyz", nil)
		if err != nil {
			return false
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return false
		}
	}
	return true
}

// wait waits for a time. It returns false if the context ends before.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
