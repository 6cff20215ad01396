package pubsub

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
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
	// probePatience is the time after which a connection is replaced on which a published probe
	// is missing and no byte was received.
	probePatience = 3 * probeInterval
	// busyPatience is the time after which it is replaced although bytes were received, such as
	// those of large messages before the probe.
	busyPatience = 10 * probePatience

	tokenLength = 10 // of 32 different characters
)

// probe publishes a message every few seconds and waits for its arrival. A connection can be
// dead without an error. A probe that arrives proves that the connection works, and that
// everything published before has arrived too. Its channel has no other subscriber.
type probe struct {
	client  *redis.Client
	channel string
	broken  func()           // closes the connection on which no probes arrive
	heard   func() time.Time // time of the newest byte on it
	lag     func(time.Duration)
	log     *slog.Logger
	now     chan struct{} // holds a value if a probe is asked for
	ended   chan struct{} // closed after the last probe

	mu      sync.Mutex
	asked   time.Time                // time at which the oldest missing probe was published, or zero
	back    time.Time                // time at which the newest arrived, or zero
	failed  error                    // why the newest could not be published
	waiting []waiter                 // of a probe that is not sent yet
	sent    []sentProbe              // not arrived yet, the oldest first
	remote  map[string]chan struct{} // closed when the probe with that token arrives from another node
}

type sentProbe struct {
	token   string
	at      time.Time
	waiting []waiter // of it, or of a later one
}

// waiter receives the result of a probe once: nil if it arrives, the error if Redis refuses it.
// It has room for that, so the sender does not block.
type waiter chan error

// notify sends the result to the waiters of a probe.
func (s sentProbe) notify(result error) {
	for _, w := range s.waiting {
		w <- result
	}
}

func newProbe(client *redis.Client, channel string, broken func(), heard func() time.Time, lag func(time.Duration), log *slog.Logger) *probe {
	return &probe{
		client: client, channel: channel, broken: broken, heard: heard, lag: lag, log: log,
		now: make(chan struct{}, 1), ended: make(chan struct{}), remote: make(map[string]chan struct{}),
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
	switch {
	case redis.IsPermissionError(err):
		p.refuse(p.index(token), err)
	case err != nil:
		p.requeue(p.index(token))
	case p.asked.IsZero() && p.back.Before(before):
		p.asked = before
	}
	wedged := false
	if !p.asked.IsZero() {
		missing := time.Since(p.asked)
		wedged = missing > probePatience && time.Since(p.heard()) > probePatience || missing > busyPatience
	}
	p.mu.Unlock()
	if wedged {
		p.log.Warn("redis pub/sub connection receives no probes; opening a new one")
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
	if arrived := p.remote[token]; arrived != nil {
		close(arrived)
		delete(p.remote, token)
		return
	}
	p.asked = time.Time{}
	p.back = time.Now()
	i := p.index(token)
	if i == len(p.sent) {
		return
	}
	p.lag(p.back.Sub(p.sent[i].at))
	for _, s := range p.sent[:i+1] { // earlier ones may be missing
		s.notify(nil)
	}
	p.sent = p.sent[i+1:]
}

// index returns the index of a token in p.sent, len(p.sent) if it is absent. mu must be held.
func (p *probe) index(token string) int {
	for i, s := range p.sent {
		if s.token == token {
			return i
		}
	}
	return len(p.sent)
}

// requeue removes the probes from an index on. Their waiting callers wait for the next probe.
// mu must be held.
func (p *probe) requeue(from int) {
	for _, s := range p.sent[from:] {
		p.waiting = append(p.waiting, s.waiting...)
	}
	p.sent = p.sent[:from]
}

// refuse removes the probes from an index on. Their waiting callers get an error, since Redis
// refuses all later probes too until its ACL is changed. mu must be held.
func (p *probe) refuse(from int, err error) {
	for _, s := range p.sent[from:] {
		s.notify(fmt.Errorf("%w: PUBLISH: %w", ErrForbidden, err))
	}
	p.sent = p.sent[:from]
}

// remove removes a waiting caller. mu must be held.
func (p *probe) remove(w waiter) {
	isIt := func(other waiter) bool { return other == w }
	p.waiting = slices.DeleteFunc(p.waiting, isIt)
	for i := range p.sent {
		p.sent[i].waiting = slices.DeleteFunc(p.sent[i].waiting, isIt)
	}
}

// confirmed implements [receiver]. It asks for a probe, since the connection can deliver one.
func (p *probe) confirmed(*marker.View) {
	p.soon()
}

// disconnected removes the probes that were sent on the lost connection.
func (p *probe) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.back = time.Time{}, time.Time{}
	p.requeue(0)
}

// sync waits until a probe that is sent after the call has arrived. It returns at once, with an
// error that wraps [ErrForbidden], if the ACL does not let the gateway publish the probe.
func (p *probe) sync(ctx context.Context) error {
	result := make(waiter, 1)
	p.mu.Lock()
	p.waiting = append(p.waiting, result)
	p.mu.Unlock()
	p.soon()
	select {
	case err := <-result:
		return err
	case <-p.ended:
		return fmt.Errorf("%w: the connection is no longer used", ErrUnavailable)
	case <-ctx.Done():
		p.mu.Lock()
		p.remove(result) // the next result may be far away while Redis is unavailable
		p.mu.Unlock()
		return ctx.Err()
	}
}

// arrivesFrom publishes a probe on another node of the cluster, and waits until it has
// arrived. It returns false if the context ends first. It returns true if the publish fails,
// since such a node accepts no messages either.
func (p *probe) arrivesFrom(ctx context.Context, node *redis.Client) bool {
	token, arrived := newToken(), make(chan struct{})
	p.mu.Lock()
	p.remote[token] = arrived
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.remote, token)
	}()
	brief, cancel := context.WithTimeout(ctx, remotePatience)
	defer cancel()
	if p.publish(brief, node, token) != nil {
		return true
	}
	select {
	case <-arrived:
		return true
	case <-p.ended:
		return true // the connection is closed
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
		return fmt.Errorf("%w: no probe message has arrived yet", ErrUnavailable)
	case time.Since(p.back) > probePatience:
		return fmt.Errorf("%w: the last probe message arrived %s ago", ErrUnavailable, time.Since(p.back).Round(time.Second))
	}
	return nil
}
