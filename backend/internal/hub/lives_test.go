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

// texts returns the data of the events that a client received, and "gap" for gaps.
func (s *seat) texts() []string {
	var out []string
	for _, b := range s.got {
		if b.isGap() {
			out = append(out, "gap")
		} else {
			out = append(out, b.data)
		}
	}
	return out
}

// expectTexts checks what a client received, gaps included.
func (s *seat) expectTexts(what string, want ...string) {
	s.t.Helper()
	if got := s.texts(); !slices.Equal(got, want) {
		s.t.Errorf("%s: received %.600q, want %.600q", what, got, want)
	}
}

func untilGap(s *seat) {
	s.t.Helper()
	s.until("a gap", func() bool { return len(s.gaps()) > 0 })
}

// addAll adds entries with the ids and texts prefix1 to prefixn in one transaction.
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

// A gap's id is a position, so no entry can get it, and a client that resumes there misses
// nothing.
func TestStream_ResumesFromTheIDOfAGap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		restart func(t *testing.T, server *redistest.Server)
		next    string // the lowest id that the next entry can get
	}{
		{"newest entries lost", func(t *testing.T, server *redistest.Server) {
			kept := server.Client().Dump(t.Context(), "s").Val()
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 6, 8, "") })
			server.Do("RESTORE", "s", 0, kept, "REPLACE")
		}, "5-1"},
		{"deleted", func(_ *testing.T, server *redistest.Server) {
			server.Do("DEL", "s")
		}, "0-1"},
		{"trimmed before it was read", func(t *testing.T, server *redistest.Server) {
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
			s := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
			tt.restart(t, server)
			untilGap(s)
			id := s.lastID()
			s.leave()
			server.Do("XADD", "s", tt.next, "data", "next")
			if entryID(id) == tt.next || id == tt.next {
				t.Errorf("the gap has the id %q of the next entry", id)
			}
			for name, node := range map[string]gateway{"the same node": g, "another node": other} {
				back := node.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{id}})
				back.untilData("next")
				back.expectTexts(name, "next")
				back.expectResumed(name, true)
				back.leave()
			}
		})
	}
}

// The ids and even the contents of entries occur again in the next life of a stream.
func TestStream_CursorOfAnEarlierLifeIsAGap(t *testing.T) {
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
			slow := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
			defer slow.leave()
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 5, "old") })
			slow.untilData("old5")
			fast := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
			defer fast.leave()
			transact(t, server, func(tx redis.Pipeliner) {
				tx.Del(context.Background(), "s")
				tt.second(tx)
			})
			fast.untilData(tt.last)
			id := slow.lastID()
			slow.got = nil
			slow.untilData(tt.last)
			if got := slow.texts(); got[0] != "gap" {
				t.Errorf("a slow client receives %q after old5", got)
			}
			back := other.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{id}})
			defer back.leave()
			back.untilData(tt.last)
			back.expectResumed("on another node", false)
		})
	}
}

// A client that starts after a deletion knows of no gap, so it needs one for what follows.
func TestStream_TrimmedAfterADeletionIsAGapForANewClient(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(100))
	first := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
	defer first.leave()
	server.Do("XADD", "s", "1-0", "data", "old")
	first.untilData("old")
	server.Do("DEL", "s")
	untilGap(first)
	s := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
	defer s.leave()
	transact(t, server, func(tx redis.Pipeliner) {
		addAll(tx, 1, 1000, "")
		tx.XTrimMaxLen(context.Background(), "s", 10)
	})
	s.untilData("1000")
	s.expectTexts("a client that started after the deletion", append([]string{"gap"}, series(991, 1000)...)...)
	if gaps := s.gaps(); gaps[0] != "stream:s history-expired 990" {
		t.Errorf("the gap is %q", gaps[0])
	}
}

func TestStream_CreatedAgainDuringAReplayIsAGapInItsPlace(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(10))
	transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 500, "") })
	keep := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
	defer keep.leave()
	s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{"1-0"}})
	defer s.leave()
	s.until("some of the replay", func() bool { return len(s.data()) > 0 })
	n := len(s.got)
	if n > 400 {
		t.Fatalf("%d entries come at once, so this shows nothing", n)
	}
	transact(t, server, func(tx redis.Pipeliner) {
		tx.Del(context.Background(), "s")
		addAll(tx, 490, 600, "new")
	})
	s.untilData("new600")
	if got := s.texts(); got[n] != "gap" || !slices.Equal(got[:n], series(2, n+1)) {
		t.Errorf("after entry %d comes %q, want a gap", n+1, got[n])
	}
}

func TestStream_DeletedEntryIsAGapInItsPlace(t *testing.T) {
	t.Parallel()
	const n = 1500
	for _, held := range []int{10, 4096} {
		for _, deleted := range [][]int{{100}, {100, 101}, {100, 700}, {n}} {
			t.Run(fmt.Sprint("held=", held, " deleted=", deleted), func(t *testing.T) {
				t.Parallel()
				server := redistest.Start(t)
				transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, n, "") })
				early := redisGateway(t, server, history(held))
				first := early.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{"0"}})
				defer first.leave()
				first.until("the first entry", func() bool { return len(first.got) > 0 })
				for _, d := range deleted {
					server.Do("XDEL", "s", fmt.Sprint(d, "-0"))
				}
				late := redisGateway(t, server, history(held))
				server.Do("XADD", "s", n+1, "data", n+1)
				for _, cursor := range []string{"0", "1-0", first.got[0].id} {
					for name, g := range map[string]gateway{"followed before": early, "followed after": late} {
						s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{cursor}})
						s.untilData(fmt.Sprint(n + 1))
						checkHoles(t, fmt.Sprintf("%s, from %q", name, cursor), s.texts(), len(deleted) == 1)
						s.leave()
					}
				}
			})
		}
	}
}

// checkHoles checks that consecutive numbers have a gap between them if one is missing, and
// no other gap if exact is true.
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
				t.Errorf("%s: there is a gap between %d and %d", what, last, number)
			}
		}
		last, gap = number, false
	}
}

// A client that disconnects at once misses nothing, on any node.
func TestStream_ResumesFromTheOpeningID(t *testing.T) {
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
			s := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
			id := s.opened.id
			s.leave()
			server.Do("XADD", "s", "3-0", "data", "a")
			server.Do("XADD", "s", "3-1", "data", "b")
			for name, node := range map[string]gateway{"the same node": g, "another node": redisGateway(t, server, history(100))} {
				back := node.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{id}})
				back.untilData("b")
				back.expectTexts(name, "a", "b")
				back.expectResumed(name, true)
				back.leave()
			}
		})
	}
}

// All lives begin at the same position, so the id of the gap there must not be taken for that
// of an earlier life, which is the newest one that a node that is behind knows.
func TestStream_ResumesFromTheBeginningOfALife(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	g, behind := redisGateway(t, server, history(100)), gatewayOver(t, sourceAt(t, "redis://"+proxy.Addr(), history(100)), history(100))
	request := hub.Request{Topics: listOf(t, "stream:s")}
	server.Do("XADD", "s", "1-0", "data", "a")
	s, o := g.take(t, request), behind.take(t, request)
	defer o.leave()
	server.Do("DEL", "s")
	untilGap(s)
	untilGap(o)
	server.Do("XADD", "s", "1-0", "data", "b")
	s.untilData("b")
	o.untilData("b")
	release := proxy.Hold(t)
	server.Do("DEL", "s")
	s.until("another gap", func() bool { return len(s.gaps()) == 2 })
	request.IDs = []string{s.lastID()}
	s.leave()
	server.Do("XADD", "s", "1-0", "data", "c")
	time.AfterFunc(time.Second/10, release)
	for name, node := range map[string]gateway{"the same node": g, "a node that was behind": behind} {
		back := node.take(t, request)
		back.untilData("c")
		if got := back.data(); !slices.Equal(got, []string{"c"}) {
			t.Errorf("%s: received %q, want the entry of the new life", name, got)
		}
		back.leave()
	}
}

// A node that saw several lives begin cannot know which of them a client of another node means.
func TestStream_BeginningOfOneOfSeveralLivesIsAGapOnAnotherNode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g, other := redisGateway(t, server, history(100)), redisGateway(t, server, history(100))
	request := hub.Request{Topics: listOf(t, "stream:s")}
	server.Do("XADD", "s", "1-0", "data", "a")
	s, o := g.take(t, request), other.take(t, request)
	defer o.leave()
	for n, text := range []string{"b", "c"} {
		server.Do("DEL", "s")
		for _, seat := range []*seat{s, o} {
			seat.until("a gap", func() bool { return len(seat.gaps()) == n+1 })
		}
		if text == "c" {
			request.IDs = []string{s.lastID()}
		}
		server.Do("XADD", "s", "1-0", "data", text)
		s.untilData(text)
		o.untilData(text)
	}
	s.leave()
	for _, tt := range []struct {
		name string
		node gateway
		want []string
	}{
		{"the same node", g, []string{"c"}},
		{"another node", other, []string{"gap", "c"}},
	} {
		back := tt.node.take(t, request)
		back.untilData("c")
		back.expectTexts(tt.name, tt.want...)
		back.leave()
	}
}

// Two nodes may announce the same missing entries at different ids.
func TestStream_MissingEntriesAreAnnouncedOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		more int // entries that are missing after the gap that the client received
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
			request := hub.Request{Topics: listOf(t, "stream:s")}
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 5, "") })
			s, l := g.take(t, request), late.take(t, request)
			defer l.leave()
			trimmed := func(first, last int) {
				transact(t, server, func(tx redis.Pipeliner) {
					addAll(tx, first, last, "")
					tx.XTrimMaxLen(context.Background(), "s", 0)
				})
			}
			server.Do("ACL", "SETUSER", "gateway", "resetkeys", "~__sluice__:*") // so it reads all changes at once
			trimmed(6, 8)
			untilGap(s)
			request.IDs = []string{s.lastID()}
			s.leave()
			if tt.more > 0 {
				trimmed(9, 8+tt.more)
			}
			server.Do("XADD", "s", "20-0", "data", "next")
			server.Do("ACL", "SETUSER", "gateway", "allkeys")
			l.untilData("next")
			back := late.take(t, request)
			defer back.leave()
			back.untilData("next")
			back.expect("the other node", []string{"next"}, tt.want)
		})
	}
}

// last= starts without a gap for entries that were deleted before, but its ids name the right
// positions: a client that resumes has a gap where an entry is missing.
func TestStream_IDsOfLastNameTheirPositions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	transact(t, server, func(tx redis.Pipeliner) {
		addAll(tx, 1, 10, "")
		tx.XDel(context.Background(), "s", "5-0")
	})
	g := redisGateway(t, server, history(3))
	s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), Last: 8})
	defer s.leave()
	s.untilData("10")
	s.expectTexts("last=8", "2", "3", "4", "6", "7", "8", "9", "10")
	back := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{s.got[1].id}})
	defer back.leave()
	back.untilData("10")
	back.expectTexts("a client that resumes after 3", "4", "gap", "6", "7", "8", "9", "10")
}
