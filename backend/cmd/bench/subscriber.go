package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/audit"
	"sluice/internal/event"
	"sluice/internal/test/sseclient"
)

const (
	// reconnectPause is the least time before a subscriber comes back, twice it the most.
	reconnectPause = 250 * time.Millisecond
	// silence is how long a line may bring nothing, pings included, before it counts as
	// dead: more than twice the usual heartbeat.
	silence = 40 * time.Second
	// connecting bounds the subscribers that open their first connection at one time.
	connecting = 128

	slowBytesPerSecond = 2 << 10
	slowBuffer         = 64 << 10

	// eventOverhead is more than the rest of an event takes besides its message.
	eventOverhead = 64 << 10
)

// subscriber is one client with its books.
type subscriber struct {
	bench  *bench
	client sseclient.Client
	books  *audit.Books
	index  int
	slow   bool
	turn   chan struct{} // room for those that connect for the first time

	connected  atomic.Bool
	received   atomic.Int64
	reconnects atomic.Int64
	since      int64 // when the present connection was opened, as messages tell time

	mu  sync.Mutex
	err error // why the last connection ended
}

func (b *bench) newSubscribers() []*subscriber {
	turn := make(chan struct{}, connecting)
	transport := sseclient.Transport{Source: sourceAddresses(b.flags), HTTP2: b.flags.HTTP2}
	usual := sseclient.NewHTTP(transport)
	transport.ReadBuffer = slowBuffer
	slow := sseclient.NewHTTP(transport)
	all := make([]*subscriber, b.flags.Subscribers)
	for i := range all {
		followed := b.publications
		if !b.flags.Mixed {
			followed = b.publications[i%len(b.publications) : i%len(b.publications)+1]
		}
		s := &subscriber{bench: b, index: i, turn: turn, books: audit.NewBooks(followed...)}
		s.client = sseclient.Client{
			Target:   b.targets(followed),
			HTTP:     usual,
			Pause:    func() time.Duration { return reconnectPause + rand.N(reconnectPause) },
			Life:     b.life,
			Silence:  silence,
			MaxEvent: b.flags.Size + eventOverhead,
		}
		if i >= len(all)-b.flags.Slow {
			s.slow = true
			s.client.HTTP = slow
			s.client.Reader = sseclient.Slowly(slowBytesPerSecond, b.calm)
		}
		all[i] = s
	}
	return all
}

// targets returns a function that picks a target at random, with a query for the topics.
func (b *bench) targets(followed []*audit.Publication) func() string {
	query := make(url.Values)
	for _, p := range followed {
		query.Add(p.Topic().Kind.String(), p.Topic().Pattern)
	}
	urls := make([]string, len(b.flags.Targets))
	for i, target := range b.flags.Targets {
		urls[i] = eventsOf(target) + "?" + query.Encode()
	}
	return func() string { return urls[rand.IntN(len(urls))] }
}

// eventsOf returns the address of the events of a target, which may be given with or
// without their path.
func eventsOf(target string) string {
	target = strings.TrimRight(target, "/")
	if strings.HasSuffix(target, eventsPath) {
		return target
	}
	return target + eventsPath
}

// life returns how long the next connection is kept.
func (b *bench) life() time.Duration {
	select {
	case <-b.calm:
		return 0
	default:
		return time.Duration(rand.ExpFloat64() * float64(b.flags.Churn))
	}
}

// perAddress is how many connections are opened from one address: fewer than there are
// ports.
const perAddress = 20_000

// sourceAddresses returns addresses of this machine to connect from, if there are more
// subscribers than ports and all targets are on this machine; else nil.
func sourceAddresses(f flags) func() net.IP {
	if f.Subscribers <= perAddress {
		return nil
	}
	for _, target := range f.Targets {
		u, err := url.Parse(target)
		if err != nil {
			return nil
		}
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip.To4() == nil || !ip.IsLoopback()) {
			return nil
		}
	}
	addresses := uint32(f.Subscribers/perAddress + 1)
	var next atomic.Uint32
	return func() net.IP { return net.IPv4(127, 0, 0, byte(2+next.Add(1)%addresses)) }
}

// run follows the topics until the context ends.
func (s *subscriber) run(ctx context.Context) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	release := sync.OnceFunc(func() { <-s.turn })
	defer release()
	follow := func(ctx context.Context) {
		err := s.client.Run(ctx, func(e sseclient.Event) {
			if e.Type == "stream.open" {
				release()
			}
			s.take(e)
		}, s.ended)
		s.connected.Store(false)
		if err != nil {
			select {
			case s.bench.refused <- err:
			default: // one is enough
			}
		}
	}
	if s.bench.storm != nil {
		s.bench.storm.before(ctx, follow)
	}
	follow(ctx)
}

func (s *subscriber) take(e sseclient.Event) {
	if e.Type == "stream.open" {
		s.since = time.Now().UnixNano()
		s.connected.Store(true)
	}
	m, ok := s.books.Take(e.ID, e.Type, e.Data)
	if !ok {
		return
	}
	s.received.Add(1)
	if m.Time > s.since && !s.slow { // else it was caught up on, or held up here
		s.bench.latencies.record(s.index, time.Duration(time.Now().UnixNano()-m.Time))
	}
}

func (s *subscriber) ended(err error) {
	s.connected.Store(false)
	s.reconnects.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *subscriber) lastError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// kindsOf returns the kinds among topics, each once.
func kindsOf(topics []event.Topic) []event.Kind {
	var kinds []event.Kind
	for _, k := range event.Kinds {
		for _, t := range topics {
			if t.Kind == k {
				kinds = append(kinds, k)
				break
			}
		}
	}
	return kinds
}
