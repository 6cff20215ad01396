package pubsub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/source/marker"
	"sluice/internal/source/redis/reconnect"
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
)

// probe publishes a message every few seconds and waits for its arrival. A connection can be
// dead without an error. A probe that arrives proves that the connection works, and that
// everything published before has arrived too. Its channel has no other subscriber.
type probe struct {
	client  *redis.Client
	channel string
	broken  func()       // closes the connection on which no probes arrive
	heard   atomic.Int64 // time of the newest byte on it, in nanoseconds since 1970
	lag     func(time.Duration)
	log     *slog.Logger
	now     chan struct{} // holds a value if a probe is asked for
	ended   chan struct{} // closed after the last probe

	mu      sync.Mutex
	asked   time.Time                // time at which the oldest missing probe was published, or zero
	back    time.Time                // time at which the newest arrived, or zero
	failed  error                    // why the newest could not be published
	newest  uint64                   // number of the newest probe
	sent    map[uint64]time.Time     // times of the probes that have not arrived yet, by number
	waiting map[chan error]uint64    // callers of sync, with the number of the first probe that can end the call
	remote  map[string]chan struct{} // closed when the probe with that token arrives from another node
}

func newProbe(client *redis.Client, channel string, broken func(), lag func(time.Duration), log *slog.Logger) *probe {
	return &probe{
		client: client, channel: channel, broken: broken, lag: lag, log: log,
		now: make(chan struct{}, 1), ended: make(chan struct{}),
		sent: make(map[uint64]time.Time), waiting: make(map[chan error]uint64), remote: make(map[string]chan struct{}),
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
		reconnect.Wait(ctx, probeSpacing)
	}
}

func (p *probe) send(ctx context.Context) {
	before := time.Now()
	p.mu.Lock()
	p.newest++
	number := p.newest
	p.sent[number] = before
	p.mu.Unlock()
	err := p.client.Publish(ctx, p.channel, number).Err()

	p.mu.Lock()
	p.failed = err
	switch {
	case err != nil:
		p.unsent(number, err)
	case p.asked.IsZero() && p.back.Before(before):
		p.asked = before
	}
	wedged := false
	if !p.asked.IsZero() {
		missing := time.Since(p.asked)
		wedged = missing > probePatience && time.Since(time.Unix(0, p.heard.Load())) > probePatience || missing > busyPatience
	}
	p.mu.Unlock()
	if wedged {
		p.log.Warn("redis pub/sub connection receives no probes; opening a new one")
		p.broken()
	}
}

// unsent removes a probe that could not be published. Its callers get an error if Redis refuses
// it, since Redis refuses all later probes too until its ACL or its commands are changed.
// Otherwise they wait for the next probe. mu must be held.
func (p *probe) unsent(number uint64, err error) {
	delete(p.sent, number)
	// A reply about a state that ends has a special code, such as LOADING, except the reply about
	// too many clients.
	answer, isAnswer := errors.AsType[redis.Error](err)
	refused := redis.IsPermissionError(err) ||
		isAnswer && strings.HasPrefix(answer.Error(), "ERR ") && !redis.IsMaxClientsError(err)
	for result, n := range p.waiting {
		switch {
		case n != number:
		case refused:
			result <- fmt.Errorf("%w: PUBLISH: %w", ErrForbidden, err)
			delete(p.waiting, result)
		default:
			p.waiting[result]++
		}
	}
}

// Message implements [Receiver].
func (p *probe) Message(_, payload string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if arrived := p.remote[payload]; arrived != nil {
		close(arrived)
		delete(p.remote, payload)
		return
	}
	p.asked = time.Time{}
	p.back = time.Now()
	number, _ := strconv.ParseUint(payload, 10, 64) // 0 is not the number of a probe
	at, ok := p.sent[number]
	if !ok {
		return
	}
	p.lag(p.back.Sub(at))
	maps.DeleteFunc(p.sent, func(n uint64, _ time.Time) bool { return n <= number }) // earlier ones may be missing
	for result, n := range p.waiting {
		if n <= number {
			result <- nil
			delete(p.waiting, result)
		}
	}
}

// Confirmed implements [Receiver]. It asks for a probe, since the connection can deliver one.
func (p *probe) Confirmed(_ bool, _ *marker.View) {
	wake(p.now)
}

// disconnected removes the probes that were sent on the lost connection. Their callers wait for
// the next probe.
func (p *probe) disconnected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.back = time.Time{}, time.Time{}
	clear(p.sent)
	for result := range p.waiting {
		p.waiting[result] = p.newest + 1
	}
}

// sync waits until a probe that is sent after the call has arrived. It returns at once, with an
// error that wraps [ErrForbidden], if Redis refuses to publish the probe.
func (p *probe) sync(ctx context.Context) error {
	result := make(chan error, 1) // has room, so the sender does not block
	p.mu.Lock()
	p.waiting[result] = p.newest + 1
	p.mu.Unlock()
	wake(p.now)
	select {
	case err := <-result:
		return err
	case <-p.ended:
		return fmt.Errorf("%w: the connection is no longer used", ErrUnavailable)
	case <-ctx.Done():
		p.mu.Lock()
		delete(p.waiting, result) // the next result may be far away while Redis is unavailable
		p.mu.Unlock()
		return ctx.Err()
	}
}

// arrivesFrom publishes a probe on another node of the cluster, and waits until it has
// arrived. It returns false if the context ends first. It returns true if the publish fails,
// since such a node accepts no messages either.
func (p *probe) arrivesFrom(ctx context.Context, node *redis.Client) bool {
	token, arrived := rand.Text(), make(chan struct{})
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
	if node.Publish(brief, p.channel, token).Err() != nil {
		return true
	}
	select {
	case <-arrived:
		return true
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
