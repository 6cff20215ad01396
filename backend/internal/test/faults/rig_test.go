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
	rate = 200 // messages a second to each topic
	size = 128 // bytes of a message

	// someMessages flow to each topic before the fault and after it.
	someMessages = 50

	// patience bounds every wait; a fault that is not over then is a failure.
	patience = 45 * time.Second
	poll     = 5 * time.Millisecond

	// lastMessageTime is how long subscribers have to get the last message before another
	// one follows.
	lastMessageTime = time.Second

	restlessLife = 300 * time.Millisecond // mean
	pauseAtMost  = 50 * time.Millisecond
)

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	proctest.Await(t, patience, what, holds)
}

// setup is what a [rig] is made of.
type setup struct {
	kinds   []event.Kind // of the topics; all if empty
	redis   []string     // arguments of redis-server
	gateway []string     // further arguments of the gateways
	proxied bool         // the first gateway reaches Redis through a proxy
	form    form
	front   startFront // what stands between the gateways and their clients, nil for nothing
	lazy    bool       // further subscribers read slowly, or nothing for a while
}

// rig is a Redis with two gateways, publishers that go on whatever happens, and
// subscribers that keep books.
type rig struct {
	t         *testing.T
	redis     *redistest.Server  // what is alone, or the first master
	watched   *redistest.Watched // nil if it is not
	cluster   *redistest.Cluster // nil if it is not
	tag       string             // begins the names of the topics
	proxy     *redistest.Proxy   // nil if there is none
	gateways  []*gatewaytest.Gateway
	front     *front         // nil if there is none
	targets   []string       // where subscribers find the gateways
	clients   []*http.Client // that they use, in turn
	publisher *redis.Publisher
	announcer *redis.Publisher // the same for channels; of a cluster, it only knows one server
	client    *goredis.Client  // of the test, with all permissions

	instead map[event.Kind]chan write // each replaces one publish
	ids     entryIDs                  // of the publisher of the stream
	hurry   chan struct{}             // closed when lazy subscribers must no longer be lazy
	gapLog  gapLog

	publications []*audit.Publication
	subscribers  []*subscriber
	publishing   context.CancelFunc
	running      sync.WaitGroup
	quiet        sync.RWMutex // held for reading while something is published
}

// newRig starts everything and returns when all subscribers have got something.
func newRig(t *testing.T, s setup) *rig {
	t.Helper()
	r := &rig{t: t, clients: []*http.Client{
		// A gateway writes to some itself, and to others through net/http.
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
		// What one client publishes through two servers, as it might while a slot moves, can
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
	// Those that come and go, and those that stay where they are while they can.
	r.subscribe("restless, all topics", restless(r.targets), r.publications...)
	for _, p := range r.publications {
		r.subscribe("restless, "+p.Topic().String(), restless(r.targets), p)
		for i := range r.targets {
			r.subscribe(fmt.Sprintf("at gateway %d, %s", i, p.Topic()), steady(r.targets, i), p)
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
		r.running.Go(func() { p.PublishAtRate(ctx, rate, size, r.publish, nil) })
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
	return r.publications[slices.IndexFunc(r.publications, func(p *audit.Publication) bool { return p.Topic().Kind == k })]
}

// name returns the name of the topic of a kind.
func (r *rig) name(k event.Kind) string {
	return r.publication(k).Topic().Name()
}

// published waits until n more messages of each topic were taken for sure.
func (r *rig) published(n int64) {
	r.t.Helper()
	enough := make(map[*audit.Publication]int64)
	for _, p := range r.publications {
		enough[p] = p.Begun() + n
	}
	for p, n := range enough {
		await(r.t, "publishing to "+p.Topic().String(), func() bool { return p.Confirmed() >= n })
	}
}

// cut waits until publishing to every topic has failed once more.
func (r *rig) cut() {
	r.t.Helper()
	before := make(map[*audit.Publication]int64)
	for _, p := range r.publications {
		before[p] = p.Doubtful()
	}
	for p, n := range before {
		await(r.t, "publishing to "+p.Topic().String()+" fails", func() bool { return p.Doubtful() > n })
	}
}

// settle waits until messages flow from end to end again: every subscriber has got all
// that had been published at some later moment.
func (r *rig) settle() {
	r.t.Helper()
	r.published(1)
	for _, s := range r.subscribers {
		if !s.lazy {
			await(r.t, s.name+" has the newest message", s.books.Complete)
		}
	}
}

// finish ends the publishing and waits until everybody has everything. It returns the
// tallies of each kind of topic, and fails if any subscriber was served wrong.
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
				r.t.Errorf("%s: of %s %+v, after gaps %q and jumps\n%s", s.name, topic, tally, s.gaps(), s.jumps())
			}
			sum := sums[topic.Kind]
			sum.Add(tally)
			sums[topic.Kind] = sum
		}
	}
	for _, p := range r.publications {
		r.t.Logf("%s: %d published, %d of them doubtful: %+v", p.Topic(), p.Confirmed(), p.Doubtful(), sums[p.Topic().Kind])
	}
	for _, s := range r.subscribers {
		r.t.Logf("%s: gaps %q", s.name, s.gaps())
	}
	return sums
}

// conclude publishes a last message, and further ones while somebody lacks it: to one
// who missed it, a channel tells only that something is missing.
func (r *rig) conclude() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		for _, p := range r.publications {
			if err := p.Conclude(ctx, size, r.publish); err != nil {
				r.t.Fatal(err)
			}
		}
		for deadline := time.Now().Add(lastMessageTime); time.Now().Before(deadline); time.Sleep(poll) {
			if !slices.ContainsFunc(r.subscribers, func(s *subscriber) bool { return !s.books.Complete() }) {
				return
			}
		}
		if ctx.Err() != nil {
			for _, s := range r.subscribers {
				r.t.Errorf("%s lacks the last message of %v", s.name, s.books.Behind(nil))
			}
			return
		}
	}
}

// subscriber is a client with its books.
type subscriber struct {
	name   string
	rig    *rig
	books  *audit.Recorder
	client sseclient.Client
	cancel context.CancelFunc
	left   chan struct{} // closed when it has left
	lazy   bool          // it may be far behind

	reconnects atomic.Int64
	refused    atomic.Int64 // responses 403 and 409
	foreign    atomic.Int64 // data events that are not of the audit

	mu     sync.Mutex
	gapped []string
	places map[string]*place // by topic
	jumped []string
}

// subscribe adds a subscriber; see [subscriber.start].
func (r *rig) subscribe(name string, c sseclient.Client, publications ...*audit.Publication) *subscriber {
	s := &subscriber{name: name, rig: r, client: c, books: audit.NewRecorder(publications...), places: make(map[string]*place)}
	query := make(url.Values)
	for _, p := range publications {
		query.Add(p.Topic().Kind.String(), p.Topic().Pattern)
	}
	target := c.Target
	s.client.Target = func() string { return target() + "/events?" + query.Encode() }
	s.client.HTTP = r.clients[len(r.subscribers)%len(r.clients)]
	s.client.Pause = func() time.Duration { return rand.N(pauseAtMost) }
	s.client.MaxEvent = 1 << 20
	r.subscribers = append(r.subscribers, s)
	return s
}

// What lazy subscribers do.
const (
	slowBytesPerSecond = 8 << 10
	slowBuffer         = 64 << 10
	readingMean        = 5 * time.Second
	pausingMean        = 8 * time.Second // some pauses are longer than the gateways' write timeout
)

// subscribeLazily adds subscribers that read slowly, and ones that read nothing for a while.
func (r *rig) subscribeLazily() {
	transport := sseclient.NewHTTP(sseclient.Transport{ReadBuffer: slowBuffer})
	for _, p := range r.publications {
		for name, reader := range map[string]func(context.Context, io.Reader) io.Reader{
			"slow":    sseclient.Slowly(slowBytesPerSecond, r.hurry),
			"pausing": sseclient.InTurns(readingMean, pausingMean, r.hurry),
		} {
			s := r.subscribe(name+", "+p.Topic().String(), restless(r.targets), p)
			s.client.HTTP, s.client.Reader, s.client.Life, s.lazy = transport, reader, nil, true
		}
	}
}

// restless returns a client that often leaves, and comes back to any target.
func restless(targets []string) sseclient.Client {
	return sseclient.Client{
		Target: func() string { return targets[rand.IntN(len(targets))] },
		Life:   func() time.Duration { return time.Duration(rand.ExpFloat64() * float64(restlessLife)) },
	}
}

// steady returns a client that begins at one target and goes to the next whenever its
// connection ends.
func steady(targets []string, home int) sseclient.Client {
	var turn atomic.Int64
	turn.Store(int64(home))
	return sseclient.Client{
		Target: func() string { return targets[int(turn.Add(1)-1)%len(targets)] },
	}
}

// start has the subscriber follow its topics, from where it left off. A topic that Redis
// forbids for a while, or a key of another type, is tried again.
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
				panic(err) // the topics are open to anyone
			}
		}
	}()
}

// leave drops the connection and returns when that has taken effect.
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

// gaps returns the gaps that were announced, as "reason lost".
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
