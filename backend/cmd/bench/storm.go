package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// stormTick is how often those that are back are counted.
const stormTick = 10 * time.Millisecond

var errInterrupted = errors.New("interrupted before all subscribers were connected again")

// storm is what happens when a gateway or a network goes away under all subscribers:
// they leave at once, and come back at once when the targets are there again.
type storm struct {
	flags flags
	leave chan struct{} // closed when all are to leave
	back  chan struct{} // closed when all may come back
	took  time.Duration // until all were connected again
}

func newStorm(f flags) *storm {
	return &storm{flags: f, leave: make(chan struct{}), back: make(chan struct{})}
}

// before runs follow until all are to leave, and returns when all may come back.
func (s *storm) before(ctx context.Context, follow func(context.Context)) {
	before, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.leave:
			cancel()
		case <-before.Done():
		}
	}()
	follow(before)
	select {
	case <-s.back:
	case <-ctx.Done():
	}
}

// ride lets the storm happen, and returns when all subscribers are connected again.
func (b *bench) ride(early context.Context) error {
	s := b.storm
	if !wait(early, b.flags.Duration/2) {
		return errInterrupted
	}
	close(s.leave)
	if !wait(early, b.flags.Storm) {
		return errInterrupted
	}
	for patience := newMovement(b.flags.Patience); !s.ready(early); {
		if !patience.goesOn(0) {
			return errors.New("the targets were not ready again after the storm")
		}
		if !wait(early, tick) {
			return errInterrupted
		}
	}
	opened := make([]int64, len(b.subscribers))
	for i, sub := range b.subscribers {
		opened[i] = sub.books.Opened()
	}
	start := time.Now()
	close(s.back)
	for movement := newMovement(b.flags.Patience); ; {
		back := 0
		for i, sub := range b.subscribers {
			if sub.books.Opened() > opened[i] {
				back++
			}
		}
		if back == len(b.subscribers) {
			s.took = time.Since(start)
			return nil
		}
		if !movement.goesOn(int64(back)) {
			return fmt.Errorf("only %d of %d subscribers could come back: %w", back, len(b.subscribers), b.subscriberError())
		}
		if !wait(early, stormTick) {
			return errInterrupted
		}
	}
}

// ready reports whether all targets say that they are ready.
func (s *storm) ready(ctx context.Context) bool {
	for _, target := range s.flags.Targets {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(eventsOf(target), eventsPath)+"/readyz", nil)
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

// wait reports whether the time passed before the context ended.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
