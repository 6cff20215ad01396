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
	"sluice/internal/test/sseclient"
)

const (
	// reconnectPause is the shortest pause before a reconnect; the longest is twice as long.
	reconnectPause = 250 * time.Millisecond
	// silence is the time without data, pings included, after which a connection counts as
	// broken. It is more than twice the default heartbeat.
	silence = 40 * time.Second
	// maxConnecting bounds the subscribers that open their first connection at the same time.
	maxConnecting = 128

	slowBytesPerSecond = 2 << 10
	slowBuffer         = 64 << 10

	// eventOverhead is an upper bound of the size of an event without its message.
	eventOverhead = 64 << 10
)

// subscriber is one client with its recorder.
type subscriber struct {
	bench    *bench
	client   sseclient.Client
	recorder *audit.Recorder
	index    int
	slow     bool

	connected  atomic.Bool
	received   atomic.Int64
	reconnects atomic.Int64
	since      int64                 // time of the last stream.open, in nanoseconds since 1970
	err        atomic.Pointer[error] // error that ended the last connection
}

func (b *bench) newSubscribers() []*subscriber {
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
		s := &subscriber{bench: b, index: i, recorder: audit.NewRecorder(followed...)}
		s.client = sseclient.Client{
			Target:   b.targets(followed),
			HTTP:     usual,
			Pause:    func() time.Duration { return reconnectPause + rand.N(reconnectPause) },
			Life:     b.lifetime,
			Silence:  silence,
			MaxEvent: b.flags.Size + eventOverhead,
		}
		if i >= len(all)-b.flags.Slow {
			s.slow = true
			s.client.HTTP = slow
			s.client.Reader = sseclient.Slowly(slowBytesPerSecond, b.settling)
		}
		all[i] = s
	}
	return all
}

// targets returns a function that returns the URL of a random target, with a query for the
// topics.
func (b *bench) targets(followed []*audit.Publication) func() string {
	query := make(url.Values)
	for _, p := range followed {
		query.Add(p.Topic.Kind.String(), p.Topic.Pattern)
	}
	urls := make([]string, len(b.flags.Targets))
	for i, target := range b.flags.Targets {
		urls[i] = baseURL(target) + eventsPath + "?" + query.Encode()
	}
	return func() string { return urls[rand.IntN(len(urls))] }
}

// baseURL returns the URL of a target, given with or without the path of the events.
func baseURL(target string) string {
	return strings.TrimSuffix(strings.TrimRight(target, "/"), eventsPath)
}

// lifetime returns the time after which the next connection is closed, or 0 for never.
func (b *bench) lifetime() time.Duration {
	select {
	case <-b.settling:
		return 0
	default:
		return time.Duration(rand.ExpFloat64() * float64(b.flags.Churn))
	}
}

// perAddress is the number of connections from one address. It is less than the number of
// ephemeral ports.
const perAddress = 20_000

// sourceAddresses returns a function that returns loopback addresses to connect from. It returns
// nil if one address has enough ports, or if a target is not on this machine.
func sourceAddresses(f flags) func() net.IP {
	if f.Subscribers <= perAddress {
		return nil
	}
	for _, target := range f.Targets {
		u, _ := url.Parse(target) // Validate has checked it
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
	if s.bench.connecting.Acquire(ctx, 1) != nil {
		return
	}
	release := sync.OnceFunc(func() { s.bench.connecting.Release(1) })
	defer release()
	follow := func(ctx context.Context, opened *atomic.Int64) {
		count := sync.OnceFunc(func() { opened.Add(1) })
		err := s.client.Run(ctx, func(e sseclient.Event) {
			s.record(e)
			if e.Type == "stream.open" {
				release()
				count()
			}
		}, s.ended)
		s.connected.Store(false)
		if err != nil {
			select {
			case s.bench.rejected <- err:
			default: // the first error is enough
			}
		}
	}
	opened := &s.bench.opened
	if storm := s.bench.storm; storm != nil {
		follow(storm.disconnected, opened)
		select {
		case <-storm.reconnect:
		case <-ctx.Done():
		}
		opened = &storm.opened
	}
	follow(ctx, opened)
}

func (s *subscriber) record(e sseclient.Event) {
	if e.Type == "stream.open" {
		s.since = time.Now().UnixNano()
		s.connected.Store(true)
	}
	m, ok := s.recorder.Record(e.ID, e.Type, e.Data)
	if !ok {
		return
	}
	s.received.Add(1)
	if m.Time > s.since && !s.slow { // else it was replayed, or delayed by this subscriber
		s.bench.latencies.record(s.index, time.Duration(time.Now().UnixNano()-m.Time))
	}
}

func (s *subscriber) ended(err error) {
	s.connected.Store(false)
	s.reconnects.Add(1)
	s.err.Store(&err)
}
