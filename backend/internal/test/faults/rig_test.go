package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/internal/audit"
	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/gatewaytest"
	"sluice/internal/test/proctest"
	"sluice/internal/test/redistest"
	"sluice/internal/test/sseclient"
)

const (
	rate = 200 // messages per second and topic
	size = 128 // bytes per message

	// someMessages is the number of messages per topic before and after the fault.
	someMessages = 50

	// testTimeout bounds every wait. A fault that takes longer is a failure.
	testTimeout = 45 * time.Second
	poll        = 5 * time.Millisecond

	// lastMessageTime is the time that subscribers have for the last message before another one is
	// published.
	lastMessageTime = time.Second

	roamingLife = 300 * time.Millisecond // mean
	pauseAtMost = 50 * time.Millisecond
)

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	proctest.Await(t, testTimeout, what, holds)
}

// setup configures a [rig].
type setup struct {
	kinds   []event.Kind // kinds of the topics; all if empty
	redis   []string     // arguments of redis-server
	gateway []string     // further arguments of the gateways
	proxied bool         // the first gateway connects to Redis through a proxy
	form    form
	front   startFront // starts a reverse proxy for the gateways; nil for none
	lazy    bool       // adds subscribers that read slowly or pause
}

// rig is a Redis deployment with two gateways, publishers that continue during faults, and
// subscribers that are audited.
type rig struct {
	t         *testing.T
	redis     *redistest.Server  // the single server, or the first master
	watched   *redistest.Watched // nil without Sentinel
	cluster   *redistest.Cluster // nil without a cluster
	tag       string             // prefix of the topic names
	proxy     *redistest.Proxy   // may be nil
	gateways  []*gatewaytest.Gateway
	front     *front         // may be nil
	targets   []string       // URLs of the gateways for subscribers
	clients   []*http.Client // clients for subscribers, in turn
	publisher *redis.Publisher
	announcer *redis.Publisher // publisher for channels; in a cluster it knows only one server
	client    *goredis.Client  // client of the test, with all permissions

	instead map[event.Kind]chan write // each replaces one publish
	ids     entryIDs                  // ids of the publisher of the stream
	hurry   chan struct{}             // closed when lazy subscribers must catch up
	gapLog  gapLog

	publications []*audit.Publication
	subscribers  []*subscriber
	publishing   context.CancelFunc
	running      sync.WaitGroup
	quiet        sync.RWMutex // held for reading during a publish
}

// newRig starts all processes and returns when all subscribers have received messages.
func newRig(t *testing.T, s setup) *rig {
	t.Helper()
	r := &rig{t: t, clients: []*http.Client{
		// The gateway writes to some clients itself, and to others through net/http.
		sseclient.NewHTTP(sseclient.Transport{}), sseclient.NewHTTP(sseclient.Transport{HTTP2: true}),
	}}
	r.hurry, r.instead = make(chan struct{}), make(map[event.Kind]chan write)
	for _, k := range event.Kinds {
		r.instead[k] = make(chan write)
	}
	address := r.startRedis(s)
	r.client = r.redis.Client()
	for i := range 2 {
		own := address
		if s.form == alone {
			own = gatewayURL(r.redis.Addr())
		}
		if s.proxied && i == 0 {
			r.proxy = redistest.StartProxy(t, r.redis.Addr())
			own = gatewayURL(r.proxy.Addr())
		}
		g := startGateway(t, own, s.gateway...)
		r.gateways = append(r.gateways, g)
		r.targets = append(r.targets, g.URL())
	}
	if s.front != nil {
		r.front = s.front(t, r.gateways)
		r.targets = []string{r.front.url, r.front.url}
		r.clients = []*http.Client{r.front.http1, r.front.http2}
	}
	r.publisher = openPublisher(t, address)
	r.announcer = r.publisher
	if r.cluster != nil {
		// If one client publishes through two servers while a slot moves, its messages can overtake
		// each other.
		// overtake itself.
		r.announcer = openPublisher(t, r.cluster.Masters[2].URL())
	}
	kinds := s.kinds
	if len(kinds) == 0 {
		kinds = event.Kinds
	}
	for _, k := range kinds {
		r.publications = append(r.publications, audit.NewPublication("test", event.Literal(k, r.tag+"of "+k.String()+"s")))
	}
	// Some subscribers move between gateways, and others stay as long as they can.
	r.subscribe("restless, all topics", roaming(r.targets), r.publications...)
	for _, p := range r.publications {
		r.subscribe("restless, "+p.Topic.String(), roaming(r.targets), p)
		for i := range r.targets {
			r.subscribe(fmt.Sprintf("at gateway %d, %s", i, p.Topic), steady(r.targets, i), p)
		}
	}
	if s.lazy {
		r.subscribeLazily()
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.publishing = cancel
	for _, s := range r.subscribers {
		s.start()
	}
	t.Cleanup(func() {
		cancel()
		for _, s := range r.subscribers {
			s.leave()
		}
		r.running.Wait()
	})
	for _, p := range r.publications {
		r.running.Go(func() { p.PublishAtRate(ctx, rate, size, r.publish) })
	}
	r.published(someMessages)
	r.settle()
	return r
}

func (r *rig) publish(ctx context.Context, topic event.Topic, data []byte) error {
	r.quiet.RLock()
	defer r.quiet.RUnlock()
	select {
	case w := <-r.instead[topic.Kind]:
		err := w.do(ctx, data)
		w.done <- err
		return err
	default:
	}
	if topic.Kind == event.Stream && r.ids.given {
		return r.client.XAdd(ctx, &goredis.XAddArgs{Stream: topic.Name(), ID: r.ids.next(), Values: []any{"data", data}}).Err()
	}
	publisher := r.publisher
	if topic.Kind == event.Channel {
		publisher = r.announcer
	}
	_, err := publisher.Publish(ctx, topic, source.Message{Data: data, MaxLen: source.DefaultMaxLen})
	return err
}

func (r *rig) publication(k event.Kind) *audit.Publication {
	return r.publications[slices.IndexFunc(r.publications, func(p *audit.Publication) bool { return p.Topic.Kind == k })]
}

// name returns the name of the topic of a kind.
func (r *rig) name(k event.Kind) string {
	return r.publication(k).Topic.Name()
}

// published waits until n more messages of each topic are confirmed.
func (r *rig) published(n int64) {
	r.t.Helper()
	enough := make(map[*audit.Publication]int64)
	for _, p := range r.publications {
		enough[p] = p.Begun() + n
	}
	for p, n := range enough {
		await(r.t, "publishing to "+p.Topic.String(), func() bool { return p.Confirmed() >= n })
	}
}

// awaitFailures waits until one more publish to every topic has failed.
func (r *rig) awaitFailures() {
	r.t.Helper()
	before := make(map[*audit.Publication]int64)
	for _, p := range r.publications {
		before[p] = p.Doubtful()
	}
	for p, n := range before {
		await(r.t, "publishing to "+p.Topic.String()+" fails", func() bool { return p.Doubtful() > n })
	}
}

// settle waits until messages flow again: every subscriber has received all messages that were
// published before some later moment.
func (r *rig) settle() {
	r.t.Helper()
	r.published(1)
	for _, s := range r.subscribers {
		if !s.lazy {
			await(r.t, s.name+" has the newest message", func() bool { return len(s.books.Behind()) == 0 })
		}
	}
}

// finish ends the publishing and waits until all subscribers have all messages. It returns the
// tallies by kind, and fails the test if an audit fails.
func (r *rig) finish() map[event.Kind]audit.Result {
	r.t.Helper()
	r.settle()
	r.published(someMessages)
	r.publishing()
	r.running.Wait()
	close(r.hurry)
	r.conclude()
	sums := make(map[event.Kind]audit.Result)
	for _, s := range r.subscribers {
		for topic, tally := range s.books.Results() {
			if tally.Broken() {
				r.t.Errorf("%s: topic %s: got %+v, gaps %q and jumps\n%s", s.name, topic, tally, s.gaps(), s.jumps())
			}
			sum := sums[topic.Kind]
			sum.Add(tally)
			sums[topic.Kind] = sum
		}
	}
	for _, p := range r.publications {
		r.t.Logf("%s: %d confirmed, %d doubtful: %+v", p.Topic, p.Confirmed(), p.Doubtful(), sums[p.Topic.Kind])
	}
	for _, s := range r.subscribers {
		r.t.Logf("%s: gaps %q", s.name, s.gaps())
	}
	return sums
}

// conclude publishes a last message, and further ones while a subscriber lacks it. A client that
// missed the last message of a channel knows of it only by a later gap.
func (r *rig) conclude() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	for {
		for _, p := range r.publications {
			if err := p.Conclude(ctx, size, r.publish); err != nil {
				r.t.Fatal(err)
			}
		}
		for deadline := time.Now().Add(lastMessageTime); time.Now().Before(deadline); time.Sleep(poll) {
			if !slices.ContainsFunc(r.subscribers, func(s *subscriber) bool { return len(s.books.Behind()) > 0 }) {
				return
			}
		}
		if ctx.Err() != nil {
			for _, s := range r.subscribers {
				r.t.Errorf("%s: got no last message of %v", s.name, s.books.Behind())
			}
			return
		}
	}
}

// subscriber is a client with its audit.
type subscriber struct {
	name   string
	rig    *rig
	books  *audit.Recorder
	client sseclient.Client
	cancel context.CancelFunc
	left   chan struct{} // closed when it has left
	lazy   bool          // it may lag

	reconnects atomic.Int64
	refused    atomic.Int64 // responses 403 and 409
	foreign    atomic.Int64 // data events that are not of the audit

	mu       sync.Mutex
	gapped   []string
	received map[string]*progress // by topic
	jumped   []string
}

// subscribe adds and starts a subscriber; see [subscriber.start].
func (r *rig) subscribe(name string, c sseclient.Client, publications ...*audit.Publication) *subscriber {
	s := &subscriber{name: name, rig: r, client: c, books: audit.NewRecorder(publications...), received: make(map[string]*progress)}
	query := make(url.Values)
	for _, p := range publications {
		query.Add(p.Topic.Kind.String(), p.Topic.Pattern)
	}
	target := c.Target
	s.client.Target = func() string { return target() + "/events?" + query.Encode() }
	s.client.HTTP = r.clients[len(r.subscribers)%len(r.clients)]
	s.client.Pause = func() time.Duration { return rand.N(pauseAtMost) }
	s.client.MaxEvent = 1 << 20
	r.subscribers = append(r.subscribers, s)
	return s
}

// Behaviour of lazy subscribers.
const (
	slowBytesPerSecond = 8 << 10
	slowBuffer         = 64 << 10
	readingMean        = 5 * time.Second
	pausingMean        = 8 * time.Second // some pauses are longer than the write timeout of the gateways
)

// subscribeLazily adds subscribers that read slowly, and some that pause.
func (r *rig) subscribeLazily() {
	transport := sseclient.NewHTTP(sseclient.Transport{ReadBuffer: slowBuffer})
	for _, p := range r.publications {
		for name, reader := range map[string]func(context.Context, io.Reader) io.Reader{
			"slow":    sseclient.Slowly(slowBytesPerSecond, r.hurry),
			"pausing": sseclient.InTurns(readingMean, pausingMean, r.hurry),
		} {
			s := r.subscribe(name+", "+p.Topic.String(), roaming(r.targets), p)
			s.client.HTTP, s.client.Reader, s.client.Life, s.lazy = transport, reader, nil, true
		}
	}
}

// roaming returns a client that often disconnects and reconnects to a random target.
func roaming(targets []string) sseclient.Client {
	return sseclient.Client{
		Target: func() string { return targets[rand.IntN(len(targets))] },
		Life:   func() time.Duration { return time.Duration(rand.ExpFloat64() * float64(roamingLife)) },
	}
}

// steady returns a client that starts at one target and moves to the next each time its connection
// ends.
func steady(targets []string, home int) sseclient.Client {
	var turn atomic.Int64
	turn.Store(int64(home))
	return sseclient.Client{
		Target: func() string { return targets[int(turn.Add(1)-1)%len(targets)] },
	}
}

// start follows the topics from the last received event. It retries if Redis forbids a topic for a
// while or a key has another type.
func (s *subscriber) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.left = cancel, make(chan struct{})
	go func() {
		defer close(s.left)
		for ctx.Err() == nil {
			err := s.client.Run(ctx, s.take, func(error) { s.reconnects.Add(1) })
			refused, ok := errors.AsType[*sseclient.RefusedError](err)
			switch {
			case err == nil:
			case ok && (refused.Status == http.StatusForbidden || refused.Status == http.StatusConflict):
				s.refused.Add(1)
				time.Sleep(s.client.Pause())
			default:
				panic(err) // all topics are open
			}
		}
	}()
}

// leave disconnects and waits for it.
func (s *subscriber) leave() {
	s.cancel()
	<-s.left
}

func (s *subscriber) take(e sseclient.Event) {
	m, ok := s.books.Record(e.ID, e.Type, e.Data)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.Type == "stream.gap":
		s.gapped = append(s.gapped, e.Data)
		s.gap(e)
	case ok:
		s.message(m, e.ID)
	case e.Type == "" || e.Type == "key.unsupported":
		s.foreign.Add(1)
	}
}

// gaps returns the announced gaps as "reason lost".
func (s *subscriber) gaps() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, data := range s.gapped {
		var g struct {
			Reason string
			Lost   any
		}
		_ = json.Unmarshal([]byte(data), &g)
		out = append(out, fmt.Sprintf("%s %v", g.Reason, g.Lost))
	}
	return out
}
