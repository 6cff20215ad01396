package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/memory"
)

// The loss audit: publishers number their messages. Clients lose their connections at random,
// resume with their last id, and lag. The numbers of each topic must be contiguous except at gaps,
// whose counts must be exact.

const (
	auditChannels = 4
	auditMessages = 2500 // per channel
)

// progress counts the published messages. Clients wait for it to lag on purpose.
type progress struct {
	mu        sync.Mutex
	published int
	done      bool
	moved     *sync.Cond
	waiting   []waker // woken after the last message
}

func newProgress() *progress {
	p := new(progress)
	p.moved = sync.NewCond(&p.mu)
	return p
}

func (p *progress) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published++
	p.done = p.published == auditChannels*auditMessages
	p.moved.Broadcast()
	if p.done {
		for _, w := range p.waiting {
			w.Wake()
		}
	}
}

// lag waits until n more messages or all messages are published.
func (p *progress) lag(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for until := p.published + n; !p.done && p.published < until; {
		p.moved.Wait()
	}
}

func (p *progress) finished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

func auditChannel(i int) string {
	return fmt.Sprint("c", i)
}

func TestAudit_EveryHoleHasGap(t *testing.T) {
	t.Parallel()
	for _, history := range []journal.Limits{
		history(1 << 20),
		history(300),
		history(7),
		{Events: 1 << 20, Bytes: 4 << 10},
	} {
		t.Run(fmt.Sprintf("events=%d,bytes=%d", history.Events, history.Bytes), func(t *testing.T) {
			t.Parallel()
			h, broker := newHub(t, history)
			p := newProgress()
			var ready, running sync.WaitGroup
			start := make(chan struct{})
			for _, list := range [][]event.Topic{
				topics(t, "channel:c0"),
				topics(t, "channel:c*"),
				topics(t, "channel:c1", "channel:c0"),
				topics(t, "channel:c0", "channel:c1", "channel:c2", "channel:c3"),
				topics(t, "channel:c[12]", "channel:c3"),
			} {
				for range 2 {
					a := newAuditClient(t, h, p, list)
					ready.Add(1)
					running.Go(func() { a.run(ready.Done) })
				}
			}
			for i := range auditChannels {
				running.Go(func() {
					<-start
					publishNumbers(t, broker, auditChannel(i), p)
				})
			}
			ready.Wait()
			close(start)
			running.Wait()
		})
	}
}

func publishNumbers(t *testing.T, broker *memory.Broker, name string, p *progress) {
	for n := range auditMessages {
		publish(t, broker, "channel:"+name, fmt.Sprint(name, " ", n))
		p.step()
		if n%16 == 0 {
			runtime.Gosched()
		}
	}
}

// auditClient is one client that records what it receives.
type auditClient struct {
	t    *testing.T
	h    *hub.Hub
	p    *progress
	rnd  *rand.Rand
	list []event.Topic
	id   string // last id that it received
	wake waker

	records map[event.Topic]*topicRecord
}

// topicRecord is what an auditClient received from one topic.
type topicRecord struct {
	channels []string
	next     map[string]int // next number of each channel
	lost     int64          // announced by gaps
	skipped  int64          // missing numbers
}

func newAuditClient(t *testing.T, h *hub.Hub, p *progress, list []event.Topic) *auditClient {
	a := &auditClient{
		t: t, h: h, p: p, list: list, wake: make(waker, 1),
		rnd:     rand.New(rand.NewPCG(rand.Uint64(), 0)),
		records: make(map[event.Topic]*topicRecord),
	}
	p.waiting = append(p.waiting, a.wake)
	for _, topic := range list {
		b := &topicRecord{next: make(map[string]int)}
		for i := range auditChannels {
			if event.CompileGlob(topic.Pattern).Match(auditChannel(i)) {
				b.channels = append(b.channels, auditChannel(i))
			}
		}
		a.records[topic] = b
	}
	return a
}

// run reads until all messages are published and read.
func (a *auditClient) run(ready func()) {
	for !a.connection(ready) && !a.t.Failed() {
		ready = func() {}
		if a.rnd.IntN(3) == 0 {
			a.p.lag(a.rnd.IntN(1500))
		}
	}
	for topic, b := range a.records {
		total := int64(0)
		for _, name := range b.channels {
			total += int64(b.next[name])
		}
		// No later number shows a loss at the end, so it is computed from the total.
		missing := int64(len(b.channels)*auditMessages) - total
		if b.skipped+missing != b.lost {
			a.t.Errorf("%v: topic %s: %d messages are missing, gaps announced %d", a.list, topic, b.skipped+missing, b.lost)
		}
	}
}

// connection is one connection, which can end at any frame. It reports whether all messages were
// read.
func (a *auditClient) connection(ready func()) bool {
	sub, err := a.h.Subscribe(context.Background(), hub.Request{Topics: a.list, IDs: []string{a.id}})
	if err != nil {
		a.t.Errorf("Subscribe: %v", err)
		return true
	}
	defer sub.Close()
	hub.Watch(sub.Reader(), a.wake)
	defer hub.Unwatch(sub.Reader(), a.wake)
	ready()
	gaps, opened := 0, false
	for left := a.rnd.IntN(1000); left >= 0; left-- {
		finished := a.p.finished()
		batch, err := sub.Next(context.Background())
		if err != nil {
			a.t.Errorf("Next: %v", err)
			return true
		}
		if len(batch.Bytes) == 0 {
			if finished {
				return true
			}
			<-a.wake
			continue
		}
		all := frames(a.t, slices.Concat(batch.Bytes, batch.Body))
		if a.id != "" && a.rnd.IntN(20) == 0 { // a client without an id is a new one
			all, left = all[:a.rnd.IntN(len(all)+1)], 0 // the connection breaks here
		}
		for _, f := range all {
			switch {
			case !opened:
				o := f.open(a.t)
				opened = true
				// Gaps of this connection follow in the same batch.
				for _, other := range frames(a.t, slices.Concat(batch.Bytes, batch.Body))[1:] {
					if other.name == "stream.gap" {
						gaps++
					}
				}
				if o.Resumed != (a.id != "" && gaps == 0) {
					a.t.Errorf("got resumed %v with id %q and %d gaps", o.Resumed, a.id, gaps)
				}
			default:
				a.record(f)
			}
			a.id = f.id
		}
		if a.rnd.IntN(40) == 0 {
			a.p.lag(a.rnd.IntN(1500)) // a slow client
		}
	}
	return false
}

// record records one event.
func (a *auditClient) record(f frame) {
	if f.name == "stream.gap" {
		g := f.gap(a.t)
		topic, err := event.ParseTopic(g.Topic)
		if err != nil || a.records[topic] == nil || g.Lost == nil || *g.Lost <= 0 {
			a.t.Errorf("%v: got gap %s", a.list, f.data)
			return
		}
		if g.Reason != event.SlowConsumer && g.Reason != event.HistoryExpired {
			a.t.Errorf("%v: got gap %s", a.list, f.data)
		}
		b := a.records[topic]
		b.lost += *g.Lost
		if !topic.IsGlob() {
			b.next[topic.Name()] += int(*g.Lost)
			b.skipped += *g.Lost
		}
		return
	}
	name, number, _ := strings.Cut(f.data, " ")
	var n int
	if _, err := fmt.Sscan(number, &n); err != nil {
		a.t.Errorf("got event %+v", f)
		return
	}
	if len(a.list) > 1 || a.list[0].IsGlob() {
		if f.origin() != "channel:"+name {
			a.t.Errorf("got id %q on an event of channel %s", f.id, name)
		}
	}
	for topic, b := range a.records {
		if !event.CompileGlob(topic.Pattern).Match(name) {
			continue // topics of one client do not overlap
		}
		want := b.next[name]
		switch {
		case n == want:
		case n > want && topic.IsGlob() && b.skipped+int64(n-want) <= b.lost:
			b.skipped += int64(n - want)
		default:
			a.t.Errorf("%v: channel %s: got %d, want %d", a.list, name, n, want)
		}
		b.next[name] = n + 1
	}
}

// Clients that connect and disconnect must not affect the audit.
func TestHub_SubscribeAndCloseDuringEvents(t *testing.T) {
	t.Parallel()
	broker := memory.New(source.Fill{Events: 100, Bytes: 1 << 20})
	h := hub.New(broker, hub.Options{Node: "n1", History: history(100), Linger: time.Microsecond}, noMetrics{})
	defer h.Close()
	stop := make(chan struct{})
	var publishing, running sync.WaitGroup
	publishing.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				publish(t, broker, fmt.Sprint("channel:c", n%3), fmt.Sprint(n))
			}
		}
	})
	for i := range 4 {
		running.Go(func() {
			for round := range 200 {
				list := []event.Topic{event.Literal(event.Channel, fmt.Sprint("c", (round+i)%3))}
				if round%2 == 0 {
					list = append(list, event.Literal(event.Channel, fmt.Sprint("c", (round+i+1)%3)), event.Topic{Kind: event.Channel, Pattern: "c*"})
				}
				sub, err := h.Subscribe(context.Background(), hub.Request{Topics: list, Last: round % 5})
				if err != nil {
					t.Error(err)
					return
				}
				for range 5 {
					if _, err := sub.Next(context.Background()); err != nil {
						t.Error(err)
					}
				}
				_ = h.Stats()
				sub.Close()
			}
		})
	}
	running.Wait()
	close(stop)
	publishing.Wait()
}
