package hub_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/hub"
	"sluice/internal/test/redistest"
)

// texts returns the data of the received events, with "gap" for gaps.
func (c *testClient) texts() []string {
	var out []string
	for _, b := range c.got {
		if b.isGap() {
			out = append(out, "gap")
		} else {
			out = append(out, b.data)
		}
	}
	return out
}

// checkTexts checks the received events and gaps.
func (c *testClient) checkTexts(what string, want ...string) {
	c.t.Helper()
	if got := c.texts(); !slices.Equal(got, want) {
		c.t.Errorf("%s: received %.600q, want %.600q", what, got, want)
	}
}

func awaitGap(s *testClient) {
	s.t.Helper()
	s.await("a gap", func() bool { return len(s.gaps()) > 0 })
}

// addAll adds entries with the ids first to last in one transaction. The data is prefix and the
// number.
func addAll(tx redis.Pipeliner, first, last int, prefix string) {
	for n := first; n <= last; n++ {
		tx.XAdd(context.Background(), &redis.XAddArgs{Stream: "s", ID: fmt.Sprint(n, "-0"), Values: []any{"data", fmt.Sprint(prefix, n)}})
	}
}

func transact(t testing.TB, server *redistest.Server, commands func(tx redis.Pipeliner)) {
	t.Helper()
	_, err := server.Client().TxPipelined(t.Context(), func(tx redis.Pipeliner) error {
		commands(tx)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The id of a gap is a position that no entry can have, so a client that resumes there misses
// nothing.
func TestStream_ResumesFromGapID(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		restart func(t *testing.T, server *redistest.Server, s *testClient)
		next    string // lowest id that the next entry can have
	}{
		{"newest entries lost", func(t *testing.T, server *redistest.Server, s *testClient) {
			kept := server.Client().Dump(t.Context(), "s").Val()
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 6, 8, "") })
			s.awaitData("8")
			server.Do("RESTORE", "s", 0, kept, "REPLACE")
		}, "5-1"},
		{"deleted", func(_ *testing.T, server *redistest.Server, _ *testClient) {
			server.Do("DEL", "s")
		}, "0-1"},
		{"trimmed before it was read", func(t *testing.T, server *redistest.Server, _ *testClient) {
			transact(t, server, func(tx redis.Pipeliner) {
				addAll(tx, 6, 8, "")
				tx.XTrimMaxLen(context.Background(), "s", 0)
			})
		}, "8-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g, other := redisGateway(t, server, history(100)), redisGateway(t, server, history(100))
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 5, "") })
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
			tt.restart(t, server, s)
			awaitGap(s)
			id := s.lastID()
			s.close()
			server.Do("XADD", "s", tt.next, "data", "next")
			if entryID(id) == tt.next || id == tt.next {
				t.Errorf("got gap id %q, the id of the next entry", id)
			}
			for name, node := range map[string]gateway{"the same node": g, "another node": other} {
				back := node.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{id}})
				back.awaitData("next")
				back.checkTexts(name, "next")
				back.checkResumed(name, true)
				back.close()
			}
		})
	}
}

// A later life of a stream can have the same ids and even the same contents.
func TestStream_CursorOfEarlierLifeIsGap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		second func(tx redis.Pipeliner)
		last   string
	}{
		{"other contents", func(tx redis.Pipeliner) { addAll(tx, 1, 30, "new") }, "new30"},
		{"the same content at another ordinal", func(tx redis.Pipeliner) {
			addAll(tx, 5, 5, "old")
			addAll(tx, 6, 30, "new")
		}, "new30"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g, other := redisGateway(t, server, history(10)), redisGateway(t, server, history(10))
			slow := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
			defer slow.close()
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 5, "old") })
			slow.awaitData("old5")
			fast := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
			defer fast.close()
			transact(t, server, func(tx redis.Pipeliner) {
				tx.Del(context.Background(), "s")
				tt.second(tx)
			})
			fast.awaitData(tt.last)
			id := slow.lastID()
			slow.got = nil
			slow.awaitData(tt.last)
			if got := slow.texts(); got[0] != "gap" {
				t.Errorf("slow client: got %q after old5", got)
			}
			back := other.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{id}})
			defer back.close()
			back.awaitData(tt.last)
			back.checkResumed("on another node", false)
		})
	}
}

// A client that starts after a deletion has seen no gap for it, so later losses need one.
func TestStream_TrimAfterDeletionIsGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(100))
	first := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	defer first.close()
	server.Do("XADD", "s", "1-0", "data", "old")
	first.awaitData("old")
	server.Do("DEL", "s")
	awaitGap(first)
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	defer s.close()
	transact(t, server, func(tx redis.Pipeliner) {
		addAll(tx, 1, 1000, "")
		tx.XTrimMaxLen(context.Background(), "s", 10)
	})
	s.awaitData("1000")
	s.checkTexts("a client that started after the deletion", append([]string{"gap"}, numbers(991, 1000)...)...)
	if gaps := s.gaps(); gaps[0] != "stream:s history-expired 990" {
		t.Errorf("got gap %q", gaps[0])
	}
}

func TestStream_CreatedAgainDuringReplayIsGap(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		create    func(tx redis.Pipeliner)
		continues int // the replay continues up to this entry, which is the same as before
	}{
		"with higher ids":        {create: func(tx redis.Pipeliner) { addAll(tx, 490, 600, "new") }},
		"with the same ids":      {create: func(tx redis.Pipeliner) { addAll(tx, 1, 600, "new") }},
		"without newest entries": {create: func(tx redis.Pipeliner) { addAll(tx, 1, 480, "") }, continues: 480},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g := redisGateway(t, server, history(10))
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 500, "") })
			keep := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
			defer keep.close()
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"1-0"}})
			defer s.close()
			s.await("some of the replay", func() bool { return len(s.data()) > 0 })
			newest := max(len(s.got)+1, test.continues)
			if newest > 480 {
				t.Fatalf("the first read is up to entry %d, which is too far for this test", newest)
			}
			transact(t, server, func(tx redis.Pipeliner) {
				tx.Del(context.Background(), "s")
				test.create(tx)
			})
			awaitGap(s)
			server.Do("XADD", "s", "601", "data", "last")
			s.awaitData("last")
			if got := s.texts(); !slices.Equal(got[:newest], append(numbers(2, newest), "gap")) {
				t.Errorf("got %q, want a gap after entry %d", got, newest)
			}
		})
	}
}

// A replay from a position has no entry that shows that the stream is the same.
func TestStream_CreatedAgainBeforeReplayIsGap(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]func(tx redis.Pipeliner){
		"with fewer entries": func(tx redis.Pipeliner) { addAll(tx, 490, 600, "new") },
		"with other counts":  func(tx redis.Pipeliner) { addAll(tx, 499, 1200, "new") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g := redisGateway(t, server, history(10))
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 500, "") })
			first := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"0"}})
			defer first.close()
			first.awaitData("500")
			server.Do("XTRIM", "s", "MINID", "6") // the position after entry 5 continues, but the entry is gone
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{first.got[4].id}})
			defer s.close()
			transact(t, server, func(tx redis.Pipeliner) {
				tx.Del(context.Background(), "s")
				create(tx)
			})
			server.Do("XADD", "s", "1201", "data", "last")
			s.awaitData("last")
			if got := s.texts(); got[0] != "gap" {
				t.Errorf("got %q, want a gap first", got[:min(len(got), 20)])
			}
		})
	}
}

func TestStream_DeletedEntryIsGap(t *testing.T) {
	t.Parallel()
	const n = 1500
	for _, held := range []int{10, 4096} {
		for _, deleted := range [][]int{{100}, {100, 101}, {100, 700}, {n}} {
			t.Run(fmt.Sprint("held=", held, " deleted=", deleted), func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t)
				transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, n, "") })
				early := redisGateway(t, server, history(held))
				first := early.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"0"}})
				defer first.close()
				first.await("the first entry", func() bool { return len(first.got) > 0 })
				for _, d := range deleted {
					server.Do("XDEL", "s", fmt.Sprint(d, "-0"))
				}
				late := redisGateway(t, server, history(held))
				server.Do("XADD", "s", n+1, "data", n+1)
				for _, cursor := range []string{"0", "1-0", first.got[0].id} {
					for name, g := range map[string]gateway{"followed before": early, "followed after": late} {
						s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{cursor}})
						s.awaitData(fmt.Sprint(n + 1))
						checkHoles(t, fmt.Sprintf("%s, from %q", name, cursor), s.texts(), len(deleted) == 1)
						s.close()
					}
				}
			})
		}
	}
}

// checkHoles checks that there is a gap between consecutive numbers if one is missing, and no other
// gap if exact is true.
func checkHoles(t testing.TB, what string, texts []string, exact bool) {
	t.Helper()
	last, gap := 0, false
	for i, text := range texts {
		if text == "gap" {
			gap = true
			continue
		}
		number, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && last > 0 {
			switch {
			case number != last+1 && !gap:
				t.Errorf("%s: %d follows %d without a gap", what, number, last)
			case number == last+1 && gap && exact:
				t.Errorf("%s: got an unexpected gap between %d and %d", what, last, number)
			}
		}
		last, gap = number, false
	}
}

// A client that disconnects immediately misses nothing, on any node.
func TestStream_ResumesFromOpenID(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		before func(server *redistest.Server)
	}{
		{"missing stream", func(*redistest.Server) {}},
		{"emptied stream", func(server *redistest.Server) {
			server.Do("XADD", "s", "1-0", "data", "x")
			server.Do("XTRIM", "s", "MAXLEN", 0)
		}},
		{"newest entry deleted", func(server *redistest.Server) {
			server.Do("XADD", "s", "1-0", "data", "x")
			server.Do("XADD", "s", "2-0", "data", "y")
			server.Do("XDEL", "s", "2-0")
		}},
		{"stream with entries", func(server *redistest.Server) {
			server.Do("XADD", "s", "1-0", "data", "x")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			tt.before(server)
			g := redisGateway(t, server, history(100))
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
			id := s.openID
			s.close()
			server.Do("XADD", "s", "3-0", "data", "a")
			server.Do("XADD", "s", "3-1", "data", "b")
			for name, node := range map[string]gateway{"the same node": g, "another node": redisGateway(t, server, history(100))} {
				back := node.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{id}})
				back.awaitData("b")
				back.checkTexts(name, "a", "b")
				back.checkResumed(name, true)
				back.close()
			}
		})
	}
}

// All lives of a stream begin at the same position. A node that lags knows an earlier life only, so
// it must not match the id of a gap there with its newest life.
func TestStream_ResumesFromBeginningOfLife(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	g, behind := redisGateway(t, server, history(100)), newGateway(t, sourceAt(t, "redis://"+proxy.Addr(), history(100)), history(100))
	request := hub.Request{Topics: topics(t, "stream:s")}
	server.Do("XADD", "s", "1-0", "data", "a")
	s, o := g.subscribe(t, request), behind.subscribe(t, request)
	defer o.close()
	server.Do("DEL", "s")
	awaitGap(s)
	awaitGap(o)
	server.Do("XADD", "s", "1-0", "data", "b")
	s.awaitData("b")
	o.awaitData("b")
	release := proxy.Hold(t)
	server.Do("DEL", "s")
	s.await("another gap", func() bool { return len(s.gaps()) == 2 })
	request.IDs = []string{s.lastID()}
	s.close()
	server.Do("XADD", "s", "1-0", "data", "c")
	time.AfterFunc(time.Second/10, release)
	for name, node := range map[string]gateway{"the same node": g, "a node that was behind": behind} {
		back := node.subscribe(t, request)
		back.awaitData("c")
		if got := back.data(); !slices.Equal(got, []string{"c"}) {
			t.Errorf("%s: received %q, want the entry of the new life", name, got)
		}
		back.close()
	}
}

// Another node cannot distinguish the beginnings of lives that follow each other quickly.
func TestStream_AmbiguousBeginningIsGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g, other := redisGateway(t, server, history(100)), redisGateway(t, server, history(100))
	request := hub.Request{Topics: topics(t, "stream:s")}
	server.Do("XADD", "s", "1-0", "data", "a")
	s, o := g.subscribe(t, request), other.subscribe(t, request)
	defer o.close()
	var ids []string
	for n, text := range []string{"b", "c"} {
		server.Do("DEL", "s")
		for _, testClient := range []*testClient{s, o} {
			testClient.await("a gap", func() bool { return len(testClient.gaps()) == n+1 })
		}
		ids = append(ids, s.lastID())
		server.Do("XADD", "s", "1-0", "data", text)
		s.awaitData(text)
		o.awaitData(text)
	}
	s.close()
	for _, tt := range []struct {
		id   string
		want []string
	}{
		{ids[0], []string{"b", "gap", "c"}},
		{ids[1], []string{"c"}},
	} {
		request.IDs = []string{tt.id}
		back := g.subscribe(t, request)
		back.awaitData("c")
		back.checkTexts("the same node", tt.want...)
		back.close()
		back = other.subscribe(t, request)
		back.awaitData("c")
		if len(back.gaps()) == 0 {
			t.Errorf("another node, from %s: received %q, want a gap", tt.id, back.texts())
		}
		back.close()
	}
}

// Two nodes can announce the same missing entries at different ids.
func TestStream_MissingEntriesAreAnnouncedOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		more int // missing entries after the gap that the client received
		want []string
	}{
		{"nothing more is missing", 0, nil},
		{"more is missing", 2, []string{"stream:s history-expired 2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "allkeys", "allchannels")
			g, late := redisGateway(t, server, history(100)), limitedGateway(t, server)
			request := hub.Request{Topics: topics(t, "stream:s")}
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 5, "") })
			s, l := g.subscribe(t, request), late.subscribe(t, request)
			defer l.close()
			trimmed := func(first, last int) {
				transact(t, server, func(tx redis.Pipeliner) {
					addAll(tx, first, last, "")
					tx.XTrimMaxLen(context.Background(), "s", 0)
				})
			}
			server.Do("ACL", "SETUSER", "gateway", "resetkeys", "~__sluice__:*") // so it reads all changes at once
			trimmed(6, 8)
			awaitGap(s)
			request.IDs = []string{s.lastID()}
			s.close()
			if tt.more > 0 {
				trimmed(9, 8+tt.more)
			}
			server.Do("XADD", "s", "20-0", "data", "next")
			server.Do("ACL", "SETUSER", "gateway", "allkeys")
			l.awaitData("next")
			back := late.subscribe(t, request)
			defer back.close()
			back.awaitData("next")
			back.check("the other node", []string{"next"}, tt.want)
		})
	}
}

// With last= a subscription starts without a gap for entries that were deleted before. Its ids
// still name the right positions: a client that resumes gets a gap if an entry is missing.
func TestStream_LastIDsNamePositions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	transact(t, server, func(tx redis.Pipeliner) {
		addAll(tx, 1, 10, "")
		tx.XDel(context.Background(), "s", "5-0")
	})
	g := redisGateway(t, server, history(3))
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 8})
	defer s.close()
	s.awaitData("10")
	s.checkTexts("last=8", "2", "3", "4", "6", "7", "8", "9", "10")
	back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.got[1].id}})
	defer back.close()
	back.awaitData("10")
	back.checkTexts("a client that resumes after 3", "4", "gap", "6", "7", "8", "9", "10")
}

// A stream that is renamed and renamed back is the same one. A client that saw it disappear at one
// node must not receive its old entries again at another node.
func TestStream_ComesBackAtAnotherNode(t *testing.T) {
	t.Parallel()
	t.Run("in its first life", func(t *testing.T) { testComesBackAtAnotherNode(t, 0) })
	t.Run("after two other lives", func(t *testing.T) { testComesBackAtAnotherNode(t, 2) })
}

func testComesBackAtAnotherNode(t *testing.T, lives int) {
	t.Parallel()
	server := redistest.Start(t)
	g, other := redisGateway(t, server, history(100)), redisGateway(t, server, history(100))
	here, there := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")}), other.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	defer there.close()
	gaps := 0
	disappear := func(command ...any) {
		server.Do(command...)
		gaps++
		for _, c := range []*testClient{here, there} {
			c.await("a gap", func() bool { return len(c.gaps()) == gaps })
		}
	}
	for n := range lives {
		transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 10+n, 10+n, "") })
		here.awaitData(strconv.Itoa(10 + n))
		there.awaitData(strconv.Itoa(10 + n))
		disappear("DEL", "s")
	}
	transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 5, "") })
	here.awaitData("5")
	there.awaitData("5")
	disappear("RENAME", "s", "away")
	id := here.lastID()
	here.close()
	passing := other.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{id}})
	ids := []string{id, passing.lastID()} // also of a client that was at both nodes while the stream was away
	passing.close()
	server.Do("RENAME", "away", "s")
	there.await("the gap of the stream that is back", func() bool { return len(there.gaps()) == gaps+1 })
	var back []*testClient
	for _, id := range ids {
		c := other.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{id}})
		defer c.close()
		back = append(back, c)
	}
	transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 6, 6, "") })
	for _, c := range back {
		c.awaitData("6")
		c.checkTexts("after the stream is back", "gap", "6")
	}
}

// A client has no entry yet. A whole life of the stream passes before it resumes, and the journal
// has no frame of that life left.
func TestStream_LivesEvictedBeforeResume(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		births int // before the client subscribes
	}{
		{"the stream did not exist before", 0},
		{"the stream was deleted before", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g := redisGateway(t, server, history(3))
			steady := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
			defer steady.close()
			live := func(first, last int) {
				transact(t, server, func(tx redis.Pipeliner) { addAll(tx, first, last, "") })
				steady.awaitData(strconv.Itoa(last))
			}
			remove := func() {
				before := len(steady.gaps())
				server.Do("DEL", "s")
				steady.await("a gap", func() bool { return len(steady.gaps()) > before })
			}
			for range tt.births {
				live(21, 22)
				remove()
			}
			early := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
			request := hub.Request{Topics: topics(t, "stream:s"), IDs: []string{early.lastID()}}
			early.close()
			live(11, 15)
			remove()
			same := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
			defer same.close()
			id := same.lastID()
			live(3, 6)
			back := g.subscribe(t, request)
			defer back.close()
			back.awaitData("6")
			back.checkTexts("a client of the life before", "gap", "3", "4", "5", "6")
			request.IDs = []string{id}
			present := g.subscribe(t, request)
			defer present.close()
			present.awaitData("6")
			present.checkTexts("a client of the present life", "3", "4", "5", "6")
		})
	}
}
