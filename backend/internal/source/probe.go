package source

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
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
// dead without an error: only what comes back shows that it lives, and that everything
// published before has come too. All gateways see each other's probes, as marks.
type probe struct {
	client  *redis.Client
	channel string
	node    string
	marks   *marks
	broken  func() // breaks the connection that does not bring probes
	log     *slog.Logger
	now     chan struct{} // asks for a probe at once
	ended   chan struct{} // closed when no more probes are sent

	mu      sync.Mutex
	asked   time.Time                  // when the oldest probe that has not come back was taken, or zero
	back    time.Time                  // when the newest came back, or zero
	failed  error                      // why the newest could not be published
	waiting []chan struct{}            // closed when a probe that is sent from now on came back
	sent    map[string][]chan struct{} // the same for those under way, by token
}

func newProbe(client *redis.Client, channel, node string, marks *marks, broken func(), log *slog.Logger) *probe {
	return &probe{
		client: client, channel: channel, node: node, marks: marks, broken: broken, log: log,
		now: make(chan struct{}, 1), ended: make(chan struct{}), sent: make(map[string][]chan struct{}),
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

func (p *probe) send(ctx context.Context) {
	token := strings.ToLower(rand.Text()[:tokenLength])
	before := time.Now()
	p.mu.Lock()
	if len(p.waiting) > 0 {
		p.sent[token] = p.waiting
		p.waiting = nil
	}
	p.mu.Unlock()
	err := p.client.Publish(ctx, p.channel, p.node+"."+token).Err()

	p.mu.Lock()
	p.failed = err
	if err != nil {
		p.waiting = append(p.waiting, p.sent[token]...)
		delete(p.sent, token)
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

// message implements [receiver]: a probe of this node or of another.
func (p *probe) message(_, payload string) {
	node, token, _ := strings.Cut(payload, ".")
	if len(token) != tokenLength {
		return // not from a gateway
	}
	p.marks.add(token)
	if node != p.node {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = time.Time{}
	p.back = time.Now()
	for _, done := range p.sent[token] {
		close(done)
	}
	delete(p.sent, token)
}

// confirmed implements [receiver]: the connection is there, so that it can be probed.
func (p *probe) confirmed(*Mark) {
	p.soon()
}

// disconnected forgets what the lost connection still owed; who waited for it waits for
// the next one.
func (p *probe) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.back = time.Time{}, time.Time{}
	for token, waiting := range p.sent {
		p.waiting = append(p.waiting, waiting...)
		delete(p.sent, token)
	}
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
