package pubsub

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/source/marker"
)

const (
	probeInterval = 2 * time.Second
	// probeSpacing bounds how often a probe is sent when it is asked for.
	probeSpacing = 20 * time.Millisecond
	// probePatience is how long a probe that Redis took may stay away before the
	// connection that should bring it is given up.
	probePatience = 3 * probeInterval

	tokenLength = 10 // of 32 different characters
)

// probe publishes a message every few seconds that must come back. A connection can be
// dead without an error: a probe that returns proves that it works, and that everything
// published before has arrived too. Its channel has no other subscriber.
type probe struct {
	client  *redis.Client
	channel string
	broken  func() // breaks the connection that does not bring probes
	lag     func(time.Duration)
	log     *slog.Logger
	now     chan struct{} // asks for a probe at once
	ended   chan struct{} // closed when no more probes are sent

	mu      sync.Mutex
	asked   time.Time                // when the oldest probe that has not come back was taken, or zero
	back    time.Time                // when the newest came back, or zero
	failed  error                    // why the newest could not be published
	waiting []chan struct{}          // closed when a probe that is sent from now on came back
	sent    []sentProbe              // under way, the oldest first
	detours map[string]chan struct{} // closed when the probe with that token came from another node
}

type sentProbe struct {
	token   string
	at      time.Time
	waiting []chan struct{} // closed when it, or a later one, came back
}

func newProbe(client *redis.Client, channel string, broken func(), lag func(time.Duration), log *slog.Logger) *probe {
	return &probe{
		client: client, channel: channel, broken: broken, lag: lag, log: log,
		now: make(chan struct{}, 1), ended: make(chan struct{}), detours: make(map[string]chan struct{}),
	}
}

func (p *probe) run(ctx context.Context) {
	defer close(p.ended)
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
		select {
		case <-ctx.Done():
			return
		case <-time.After(probeSpacing):
		}
	}
}

// soon asks for a probe without waiting for the next one's time.
func (p *probe) soon() {
	select {
	case p.now <- struct{}{}:
	default: // one is asked for already
	}
}

func newToken() string {
	return strings.ToLower(rand.Text()[:tokenLength])
}

func (p *probe) send(ctx context.Context) {
	token := newToken()
	before := time.Now()
	p.mu.Lock()
	p.sent = append(p.sent, sentProbe{token, before, p.waiting})
	p.waiting = nil
	p.mu.Unlock()
	err := p.publish(ctx, p.client, token)

	p.mu.Lock()
	p.failed = err
	if err != nil {
		p.takeBack(p.place(token))
	} else if p.asked.IsZero() && p.back.Before(before) {
		p.asked = before
	}
	wedged := !p.asked.IsZero() && time.Since(p.asked) > probePatience
	p.mu.Unlock()
	if wedged {
		p.log.Warn("redis pub/sub connection brings no messages; making a new one")
		p.broken()
	}
}

func (p *probe) publish(ctx context.Context, client *redis.Client, token string) error {
	return client.Publish(ctx, p.channel, token).Err()
}

// message implements [receiver].
func (p *probe) message(_, token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if came := p.detours[token]; came != nil {
		close(came)
		delete(p.detours, token)
		return
	}
	p.asked = time.Time{}
	p.back = time.Now()
	i := p.place(token)
	if i == len(p.sent) {
		return
	}
	p.lag(p.back.Sub(p.sent[i].at))
	for _, s := range p.sent[:i+1] { // with it has come what was published before those that are missing
		for _, done := range s.waiting {
			close(done)
		}
	}
	p.sent = p.sent[i+1:]
}

// place returns where a probe is among those under way, and their number if it is not.
func (p *probe) place(token string) int {
	for i, s := range p.sent {
		if s.token == token {
			return i
		}
	}
	return len(p.sent)
}

// takeBack gives up the probes under way from a place on. Who waits for them waits for the
// next one.
func (p *probe) takeBack(from int) {
	for _, s := range p.sent[from:] {
		p.waiting = append(p.waiting, s.waiting...)
	}
	p.sent = p.sent[:from]
}

// confirmed implements [receiver]: the connection is there, so that it can be probed.
func (p *probe) confirmed(*marker.View) {
	p.soon()
}

// disconnected forgets what the lost connection still owed.
func (p *probe) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.back = time.Time{}, time.Time{}
	p.takeBack(0)
}

// sync waits until a probe that is sent from now on has come back.
func (p *probe) sync(ctx context.Context) error {
	done := make(chan struct{})
	p.mu.Lock()
	p.waiting = append(p.waiting, done)
	p.mu.Unlock()
	p.soon()
	select {
	case <-done:
		return nil
	case <-p.ended:
		return fmt.Errorf("%w: the connection is no longer used", ErrUnavailable)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// through publishes a probe at another node of the cluster, and waits until it has come,
// if the node takes it. It returns false if it has not.
func (p *probe) through(ctx context.Context, node *redis.Client) bool {
	token, came := newToken(), make(chan struct{})
	p.mu.Lock()
	p.detours[token] = came
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.detours, token)
	}()
	brief, cancel := context.WithTimeout(ctx, detourPatience)
	defer cancel()
	if p.publish(brief, node, token) != nil {
		return true // it takes no messages either
	}
	select {
	case <-came:
		return true
	case <-p.ended:
		return true // nobody waits any more
	case <-ctx.Done():
		return false
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
