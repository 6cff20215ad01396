package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"sluice/internal/audit"
)

// errInterrupted is returned when a signal ends a storm before all subscribers are connected.
var errInterrupted = errors.New("interrupted before all subscribers were connected again")

// storm simulates the failure of a gateway or a network: all subscribers disconnect at once, and
// reconnect at once when the targets are ready again.
type storm struct {
	disconnected context.Context // ends when the subscribers disconnect
	disconnect   context.CancelFunc
	reconnect    chan struct{} // closed when the subscribers may reconnect
	opened       atomic.Int64  // subscribers that are connected again
	took         time.Duration // time until all were connected again
}

// runStorm disconnects all subscribers, and returns when all are connected again. It blocks for
// half of the configured duration first.
func (b *bench) runStorm(early context.Context) error {
	s := b.storm
	if !audit.Pause(early, b.flags.Duration/2) {
		return errInterrupted
	}
	s.disconnect()
	if !audit.Pause(early, b.flags.Storm) {
		return errInterrupted
	}
	for waiting := (stallDetector{patience: b.flags.Patience}); !b.ready(early); {
		if waiting.stalled(0) {
			return errors.New("the targets were not ready again after the storm")
		}
		if !audit.Pause(early, tick) {
			return errInterrupted
		}
	}
	start := time.Now()
	close(s.reconnect)
	err := b.awaitOpened(early, &s.opened, "reconnect", errInterrupted)
	s.took = time.Since(start)
	return err
}

// ready reports whether /readyz of every target returns 200 OK.
func (b *bench) ready(ctx context.Context) bool {
	for _, target := range b.flags.Targets {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL(target)+"/readyz", nil)
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
