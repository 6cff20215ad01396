package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
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

// The loss audit: publishers number their messages, and clients lose their lines at
// random, come back with the id of what they saw last, and lag. Each topic's numbers
// must go on without a hole, but for gaps, whose count must be exact.

const (
	auditChannels = 4
	auditMessages = 2500 // of each channel
)

// progress counts what was published, for clients that lag on purpose.
type progress struct {
	mu        sync.Mutex
	published int
	done      bool
	moved     *sync.Cond
	waiting   []wake // woken when all was published
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

// lag waits until n more messages were published, or all.
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

func TestAudit_NoHoleWithoutAGap(t *testing.T) {
	t.Parallel()
	for _, history := range []journal.Limits{
		events(1 << 20),
		events(300),
		events(7),
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
					a := newAuditor(t, h, p, list)
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
		publish(t, broker, name, fmt.Sprint(name, " ", n))
		p.step()
		if n%16 == 0 {
			runtime.Gosched()
		}
	}
}

// auditor is one client that keeps books.
type auditor struct {
	t    *testing.T
	h    *hub.Hub
	p    *progress
	rnd  *rand.Rand
	list []event.Topic
	id   string // of what it saw last
	wake wake

	books map[event.Topic]*book
}

// book is what an auditor knows of one topic.
type book struct {
	channels []string
	next     map[string]int // the next number of each channel
	lost     int64          // announced
	skipped  int64          // found missing
}

func newAuditor(t *testing.T, h *hub.Hub, p *progress, list []event.Topic) *auditor {
	a := &auditor{
		t: t, h: h, p: p, list: list, wake: make(wake, 1),
		rnd:   rand.New(rand.NewPCG(rand.Uint64(), 0)),
		books: make(map[event.Topic]*book),
	}
	p.waiting = append(p.waiting, a.wake)
	for _, topic := range list {
		b := &book{next: make(map[string]int)}
		for i := range auditChannels {
			if event.CompileGlob(topic.Pattern).Match(auditChannel(i)) {
				b.channels = append(b.channels, auditChannel(i))
			}
		}
		a.books[topic] = b
	}
	return a
}

type wake chan struct{}

func (w wake) Wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// run reads until everything was published and read.
func (a *auditor) run(ready func()) {
	for !a.connection(ready) && !a.t.Failed() {
		ready = func() {}
		if a.rnd.IntN(3) == 0 {
			a.p.lag(a.rnd.IntN(1500))
		}
	}
	for topic, b := range a.books {
		total := int64(0)
		for _, name := range b.channels {
			total += int64(b.next[name])
		}
		// What was lost at the very end no later number shows.
		missing := int64(len(b.channels)*auditMessages) - total
		if b.skipped+missing != b.lost {
			a.t.Errorf("%v: of %s %d are missing and %d were announced as lost", a.list, topic, b.skipped+missing, b.lost)
		}
	}
}

// connection is one connection, which may end anywhere. It reports whether all was
// read.
func (a *auditor) connection(ready func()) bool {
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
		all := frames(a.t, batch.Bytes)
		if a.id != "" && a.rnd.IntN(20) == 0 { // a client without any id is a new one
			all, left = all[:a.rnd.IntN(len(all)+1)], 0 // the line breaks here
		}
		for _, f := range all {
			switch {
			case !opened:
				o := f.open(a.t)
				opened = true
				// What follows in the same batch are the gaps of this connection.
				for _, other := range frames(a.t, batch.Bytes)[1:] {
					if other.name == "stream.gap" {
						gaps++
					}
				}
				if o.Resumed != (a.id != "" && gaps == 0) {
					a.t.Errorf("resumed is %v, with the id %q and %d gaps", o.Resumed, a.id, gaps)
				}
			default:
				a.take(f)
			}
			a.id = f.id
		}
		if a.rnd.IntN(40) == 0 {
			a.p.lag(a.rnd.IntN(1500)) // a slow client
		}
	}
	return false
}

// take books one event.
func (a *auditor) take(f frame) {
	if f.name == "stream.gap" {
		g := f.gap(a.t)
		topic, err := event.ParseTopic(g.Topic)
		if err != nil || a.books[topic] == nil || g.Lost == nil || *g.Lost <= 0 {
			a.t.Errorf("%v: a gap %s", a.list, f.data)
			return
		}
		if g.Reason != string(event.SlowConsumer) && g.Reason != string(event.HistoryExpired) {
			a.t.Errorf("%v: a gap %s", a.list, f.data)
		}
		b := a.books[topic]
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
		a.t.Errorf("an event %+v", f)
		return
	}
	if len(a.list) > 1 || a.list[0].IsGlob() {
		if f.origin() != "channel:"+name {
			a.t.Errorf("the id %q stands on an event of %s", f.id, name)
		}
	}
	for topic, b := range a.books {
		if !event.CompileGlob(topic.Pattern).Match(name) {
			continue // topics of one auditor do not overlap
		}
		want := b.next[name]
		switch {
		case n == want:
		case n > want && topic.IsGlob() && b.skipped+int64(n-want) <= b.lost:
			b.skipped += int64(n - want)
		default:
			a.t.Errorf("%v: of %s comes %d, want %d", a.list, name, n, want)
		}
		b.next[name] = n + 1
	}
}

// A crowd that comes and goes must not disturb the books either.
func TestHub_SubscribersComeAndGoWhileEventsFlow(t *testing.T) {
	t.Parallel()
	broker := memory.New(source.Fill{Events: 100, Bytes: 1 << 20})
	h := hub.New(broker, hub.Options{Node: "n1", History: events(100), Linger: time.Microsecond}, new(counts))
	defer h.Close()
	stop := make(chan struct{})
	var publishing, running sync.WaitGroup
	publishing.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				publish(t, broker, fmt.Sprint("c", n%3), fmt.Sprint(n))
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
