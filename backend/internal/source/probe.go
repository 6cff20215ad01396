package source

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
)

const (
	probeInterval = 2 * time.Second
	// probePatience is how long a probe that Redis took may stay away before the
	// connection that should bring it is given up.
	probePatience = 3 * probeInterval
)

// probe publishes a message to this node every few seconds and expects it back. A
// connection can be dead without an error: only what comes back shows that it lives.
type probe struct {
	client  *redis.Client
	channel string
	broken  func() // breaks the connection that does not bring probes
	log     *slog.Logger
	now     chan struct{} // asks for a probe at once

	mu     sync.Mutex
	asked  time.Time // when the oldest probe that has not come back was taken, or zero
	back   time.Time // when the newest came back, or zero
	failed error     // why the newest could not be published
}

func newProbe(client *redis.Client, channel string, broken func(), log *slog.Logger) *probe {
	return &probe{client: client, channel: channel, broken: broken, log: log, now: make(chan struct{}, 1)}
}

func (p *probe) run(ctx context.Context) {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.now:
		case <-tick.C:
		}
		p.send(ctx)
	}
}

func (p *probe) send(ctx context.Context) {
	before := time.Now()
	receivers, err := p.client.Publish(ctx, p.channel, "").Result()
	p.mu.Lock()
	p.failed = err
	if err == nil && p.asked.IsZero() && p.back.Before(before) {
		p.asked = before
	}
	wedged := !p.asked.IsZero() && time.Since(p.asked) > probePatience
	if wedged {
		p.asked = time.Time{}
	}
	p.mu.Unlock()
	if wedged {
		p.log.Warn("redis pub/sub connection brings no messages; making a new one", "receivers", receivers)
		p.broken()
	}
}

// Event takes a probe that came back.
func (p *probe) Event(event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = time.Time{}
	p.back = time.Now()
}

// Gap is nothing to a probe.
func (p *probe) Gap(event.GapReason, int64) {}

// disconnected forgets what the lost connection still owed.
func (p *probe) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.back = time.Time{}, time.Time{}
}

// connected asks for a probe at once, so that readiness need not wait for the next.
func (p *probe) connected() {
	select {
	case p.now <- struct{}{}:
	default:
	}
}

func (p *probe) ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.failed != nil:
		return fmt.Errorf("%w: PUBLISH: %w", ErrUnavailable, p.failed)
	case p.back.IsZero():
		return fmt.Errorf("%w: no probe message has come back yet", ErrUnavailable)
	case time.Since(p.back) > probePatience:
		return fmt.Errorf("%w: the last probe message came back %s ago", ErrUnavailable, time.Since(p.back).Round(time.Second))
	}
	return nil
}
