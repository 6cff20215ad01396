package hub_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/source"
	"sluice/internal/test/redistest"
)

// endLife deletes the stream s, and waits until the node of a subscriber has noticed it.
func endLife(server *redistest.Server, s *testClient) {
	s.t.Helper()
	beginLife(server, s, "DEL", "s")
}

// framesOf returns the frames of one topic among those that a client has.
func framesOf(c *testClient, topic string) (frames []frame) {
	for _, f := range c.got {
		if f.origin() == topic {
			frames = append(frames, f)
		}
	}
	return frames
}

// Another life can begin with the same ids.
func TestStream_OpenIDBelongsToOneLife(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		held    int // events
		entries int
		trimmed any // entries left
		start   bool
	}{
		"in the journal":                         {1000, 5, nil, false},
		"in the journal, from the start":         {1000, 5, nil, true},
		"older than the journal":                 {10, 100, nil, false},
		"older than the journal, from the start": {10, 100, nil, true},
		"trimmed":                                {10, 100, 60, false},
		"trimmed, from the start":                {10, 100, 60, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			add := func() (newest string) {
				for n := range tt.entries {
					newest = rand.Text()
					server.Do("XADD", "s", fmt.Sprint(n+1, "-0"), "data", newest)
				}
				if tt.trimmed != nil {
					server.Do("XTRIM", "s", "MAXLEN", tt.trimmed)
				}
				return newest
			}
			add()
			node, other := redisGateway(t, server, history(tt.held)), redisGateway(t, server, history(tt.held))
			req := hub.Request{Topics: topics(t, "stream:s"), Start: tt.start}
			if !tt.start {
				req.Last = 1000
			}
			s := node.subscribe(t, req)
			s.close()
			watching := []*testClient{node.subscribe(t, hub.Request{Topics: req.Topics}), other.subscribe(t, hub.Request{Topics: req.Topics})}
			back := other.subscribe(t, hub.Request{Topics: req.Topics, IDs: []string{s.openID}})
			back.checkResumed("the same stream", true)
			back.close()
			server.Do("DEL", "s")
			for _, w := range watching {
				awaitGap(w)
				w.close()
			}
			newest := add()
			for where, g := range map[string]gateway{"the same node": node, "another node": other, "a new node": redisGateway(t, server, history(tt.held))} {
				back := g.subscribe(t, hub.Request{Topics: req.Topics, IDs: []string{s.openID}})
				back.awaitData(newest)
				if len(back.gaps()) == 0 {
					t.Errorf("%s: got %d entries, to the end of another stream, without a gap after %s", where, len(back.data()), s.openID)
				}
				back.close()
			}
		})
	}
}

func TestStream_OpenIDAmongEqualEntries(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(10), func(t *testing.T, g gateway) {
		publish(t, g.source, "stream:s", slices.Repeat([]string{"x"}, 100)...)
		s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 50})
		s.close()
		back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.openID}})
		defer back.close()
		back.read()
		back.check("the client", slices.Repeat([]string{"x"}, 50), nil)
	})
}

func TestStream_OpenIDOfLivesWithEqualFirstEntries(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]hub.Request{"last": {Last: 10}, "start": {Start: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			add := func(first int, text string) {
				server.Do("XADD", "s", fmt.Sprint(first, "-0"), "data", "start")
				server.Do("XADD", "s", fmt.Sprint(first+1, "-0"), "data", text)
			}
			add(1, "old")
			g := redisGateway(t, server, history(100))
			req.Topics = topics(t, "stream:s")
			s := g.subscribe(t, req)
			s.close()
			watching := g.subscribe(t, hub.Request{Topics: req.Topics})
			endLife(server, watching)
			watching.close()
			add(3, "new")
			for where, g := range map[string]gateway{"the same node": g, "a new node": redisGateway(t, server, history(100))} {
				back := g.subscribe(t, hub.Request{Topics: req.Topics, IDs: []string{s.openID}})
				back.awaitData("new")
				if len(back.gaps()) == 0 {
					t.Errorf("%s: got %q of another stream without a gap after %s", where, back.data(), s.openID)
				}
				back.close()
			}
		})
	}
}

// The life of a stream can begin with a gap, and be trimmed before a node reads it.
func TestStream_OpenIDOfTrimmedLife(t *testing.T) {
	t.Parallel()
	for name, held := range map[string]int{"in the journal": 100, "evicted": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g := redisGateway(t, server, history(held))
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 100, "old") })
			watching := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
			defer watching.close()
			transact(t, server, func(tx redis.Pipeliner) {
				tx.Del(context.Background(), "s")
				addAll(tx, 1, 7, "new")
				tx.XTrimMaxLen(context.Background(), "s", 1)
			})
			watching.awaitData("new7")
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 5})
			s.close()
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 8, 30, "new") })
			watching.awaitData("new30")
			for where, g := range map[string]gateway{"the same node": g, "a new node": redisGateway(t, server, history(held))} {
				back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.openID}})
				back.awaitData("new30")
				if len(back.gaps()) > 0 || len(back.data()) != 24 {
					t.Errorf("%s: after %s got %d entries, want 24, and gaps %q", where, s.openID, len(back.data()), back.gaps())
				}
				back.close()
			}
		})
	}
}

func TestStream_OpenIDAfterEnd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("XADD", "s", "*", "data", "1")
	server.Do("XADD", "s", "*", "data", "end", "event", event.StreamEnd)
	server.Do("XADD", "s", "*", "data", "2")
	g := redisGateway(t, server, history(10))
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 1})
	s.awaitData("2")
	s.close()
	_, err := g.trySubscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.openID}})
	if errors.Is(err, hub.ErrFinished) {
		t.Errorf("%s: got the answer to a client that has the end, want the entry after it", s.openID)
	}
}

// hookedSource calls functions around reads of a stream.
type hookedSource struct {
	source.Source
	mu            sync.Mutex
	before, after func(name string)
}

func (h *hookedSource) Range(ctx context.Context, topic event.Topic, r source.Range) (source.Page, error) {
	h.mu.Lock()
	before, after := h.before, h.after
	h.mu.Unlock()
	if before != nil {
		before(topic.Name())
	}
	page, err := h.Source.Range(ctx, topic, r)
	if after != nil {
		after(topic.Name())
	}
	return page, err
}

func (h *hookedSource) set(before, after func(name string)) {
	h.mu.Lock()
	h.before, h.after = before, after
	h.mu.Unlock()
}

// Another topic of the request waits for Redis, while the stream is deleted.
func TestStream_LifeEndsWhileResuming(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"open id", "entry id"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			src := &hookedSource{Source: redisSource(t, server, history(10))}
			g := newGateway(t, src, history(10))
			publish(t, src, "stream:other", numbers(1, 100)...)
			publish(t, src, "stream:s", numbers(1, 5)...)
			list := topics(t, "stream:s", "stream:other")
			s := g.subscribe(t, hub.Request{Topics: list[:1], Last: 10})
			s.awaitData("5")
			id := s.openID
			if kind == "entry id" {
				id = s.got[1].id
			}
			defer s.close()
			var once sync.Once
			src.set(func(name string) {
				if name != "other" {
					return
				}
				once.Do(func() { endLife(server, s) })
			}, nil)
			back := g.subscribe(t, hub.Request{Topics: list, IDs: []string{"stream:s@" + id, "stream:other@1-0"}})
			defer back.close()
			src.set(nil, nil)
			server.Do("XADD", "s", "*", "data", "new")
			back.awaitData("new")
			if got := framesOf(back, "stream:s"); !slices.ContainsFunc(got, frame.isGap) {
				t.Errorf("got %v without a gap after %s", got, id)
			}
		})
	}
}

func TestStream_LifeEndsBeforeReplay(t *testing.T) {
	t.Parallel()
	for _, resume := range []bool{false, true} {
		t.Run(fmt.Sprint("resume=", resume), func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g := redisGateway(t, server, history(10))
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 100, "old") })
			req := hub.Request{Topics: topics(t, "stream:s"), Last: 50}
			s := g.subscribe(t, req)
			if resume {
				s.close()
				s = g.subscribe(t, hub.Request{Topics: req.Topics, IDs: []string{s.openID}})
				s.checkResumed("", true)
			}
			defer s.close()
			transact(t, server, func(tx redis.Pipeliner) {
				tx.Del(context.Background(), "s")
				addAll(tx, 1, 120, "new")
			})
			server.Do("XADD", "s", "200", "data", "last")
			s.awaitData("last")
			got := s.texts()
			if got[0] != "gap" && got[0] != "old51" {
				t.Errorf("%q without a gap after %s, before the old %q", got[0], s.openID, got[40:52])
			}
		})
	}
}

// The stream is deleted after the read that verifies the cursor.
func TestStream_LifeEndsAfterReadOfCursor(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"open id", "entry id", "open id, two steps", "entry id, two steps"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			src := &hookedSource{Source: redisSource(t, server, history(10))}
			g := newGateway(t, src, history(10))
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 100, "old") })
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 50})
			defer s.close()
			s.awaitData("old100")
			id := s.openID
			if strings.HasPrefix(kind, "entry id") {
				id = s.got[3].id
			}
			var once sync.Once
			src.set(nil, func(string) {
				once.Do(func() {
					if strings.HasSuffix(kind, "two steps") {
						endLife(server, s)
						transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 101, 105, "new") })
						s.awaitData("new105")
						return
					}
					transact(t, server, func(tx redis.Pipeliner) {
						tx.Del(context.Background(), "s")
						addAll(tx, 101, 130, "new")
					})
				})
			})
			back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{id}})
			defer back.close()
			server.Do("XADD", "s", "200", "data", "new")
			back.awaitData("new")
			if len(back.gaps()) == 0 {
				t.Errorf("got %q of another stream without a gap after %s", back.texts(), id)
			}
		})
	}
}

// A cursor at the beginning of a life has no id, so another life can begin at the same position.
func TestStream_LifeEndsWhileResumingAtItsBeginning(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		added   int  // entries of the life that is followed first
		earlier bool // this life ends before the client resumes
		start   bool // the client has no cursor
		gap     bool
	}{
		"the present life": {added: 2, gap: true},
		"an earlier life":  {added: 2, earlier: true, gap: true},
		"from the start":   {added: 30, start: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			src := &hookedSource{Source: redisSource(t, server, history(10))}
			g := newGateway(t, src, history(10))
			publish(t, src, "stream:other", numbers(1, 100)...)
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 3, "first") })
			list := topics(t, "stream:s", "stream:other")
			s := g.subscribe(t, hub.Request{Topics: list[:1], Last: 10})
			defer s.close()
			s.awaitData("first3")
			endLife(server, s)
			birth := s.lastID()
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, tt.added, "old") })
			s.awaitData(fmt.Sprint("old", tt.added))
			if tt.earlier {
				endLife(server, s)
			}
			var once sync.Once
			src.set(func(name string) {
				if name != "other" {
					return
				}
				once.Do(func() {
					if !tt.earlier {
						endLife(server, s)
					}
					transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 101, 130, "new") })
					s.awaitData("new130")
				})
			}, nil)
			req := hub.Request{Topics: list, IDs: []string{"stream:other@1-0"}, Start: tt.start}
			if !tt.start {
				req.IDs = append(req.IDs, "stream:s@"+birth)
			}
			back := g.subscribe(t, req)
			defer back.close()
			src.set(nil, nil)
			server.Do("XADD", "s", "*", "data", "newest")
			back.awaitData("newest")
			got := framesOf(back, "stream:s")
			if slices.ContainsFunc(got, frame.isGap) != tt.gap {
				t.Errorf("got %v, want a gap: %t", got, tt.gap)
			}
			if tt.start && got[0].data != "new101" {
				t.Errorf("got %v, want the new life from its start", got)
			}
		})
	}
}

// A stream that is created again at each read must not keep a subscriber from its start.
func TestStream_ResumesThoughEachReadEndsALife(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := &hookedSource{Source: redisSource(t, server, history(10))}
	g := newGateway(t, src, history(10))
	transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 100, "old") })
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 50})
	defer s.close()
	s.awaitData("old100")
	reads := 0
	src.set(nil, func(string) {
		if reads++; reads > 10 {
			return
		}
		endLife(server, s)
		transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 100*reads, 100*reads+5, "new") })
	})
	back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.got[3].id}})
	defer back.close()
	back.read()
	if len(back.gaps()) == 0 {
		t.Error("got no gap")
	}
	if reads > 5 {
		t.Errorf("got %d reads, want few", reads)
	}
}
