package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/memory"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

func bothBrokers(t *testing.T, limits journal.Limits, test func(t *testing.T, g gateway)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		fill := source.Fill{Events: limits.Events, Bytes: limits.Bytes}
		test(t, gatewayOver(t, memory.New(fill), limits))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, redisGateway(t, redistest.Start(t), limits))
	})
}

func TestStream_ResumesFromEveryRetainedID(t *testing.T) {
	t.Parallel()
	const n, held = 400, 50
	bothBrokers(t, history(held), func(t *testing.T, g gateway) {
		ids := put(t, g.source, "stream:s", series(1, n/2)...) // before it is followed
		keep := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
		defer keep.leave()
		ids = append(ids, put(t, g.source, "stream:s", series(n/2+1, n)...)...)
		keep.untilData(fmt.Sprint(n))
		for i := -1; i < n; i++ {
			if i > 5 && i < n-held-5 && i%41 != 0 {
				continue
			}
			cursor := "0-0"
			if i >= 0 {
				cursor = ids[i]
			}
			s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{cursor}})
			s.drain()
			s.expect(fmt.Sprint("resumed after entry ", i+1), series(i+2, n), nil)
			s.expectResumed(cursor, true)
			for k, b := range s.got {
				if entryID(b.id) != ids[i+1+k] {
					t.Fatalf("entry %d has the id %q, want %s", i+2+k, b.id, ids[i+1+k])
				}
			}
			s.leave()
		}
	})
}

func TestStream_ResumedReplayGoesOnLive(t *testing.T) {
	t.Parallel()
	const n = 500
	bothBrokers(t, history(20), func(t *testing.T, g gateway) {
		put(t, g.source, "stream:s", series(1, n)...)
		s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{"0-1"}})
		defer s.leave()
		for i := range 200 { // while the pages are read
			s.next()
			put(t, g.source, "stream:s", fmt.Sprint(n+1+i))
		}
		s.untilData(fmt.Sprint(n + 200))
		s.expect("the client", series(1, n+200), s.gaps())
		if len(s.gaps()) > 1 {
			t.Errorf("the gaps are %q", s.gaps())
		}
	})
}

// A client that saw only the opening of a stream without entries has the cursor 0-0.
func TestStream_WithoutEntriesAtTheOpeningLosesNothing(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(20), func(t *testing.T, g gateway) {
		s := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
		s.leave()
		put(t, g.source, "stream:s", series(1, 100)...)
		back := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{s.lastID()}})
		defer back.leave()
		back.untilData("100")
		back.expect("the client", series(1, 100), nil)
		back.expectResumed("the client", true)
	})
}

func TestStream_WithoutEntriesAtTheOpeningLosesNothingOnANodeThatJoinedLater(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := redisGateway(t, server, history(20))
	s := one.take(t, hub.Request{Topics: listOf(t, "stream:s")})
	s.leave()
	put(t, one.source, "stream:s", series(1, 200)...)
	other := redisGateway(t, server, history(20))
	back := other.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{s.lastID()}})
	defer back.leave()
	back.untilData("200")
	back.expect("the client", series(1, 200), nil)
	back.expectResumed("the client", true)
}

func TestStream_OlderThanTheOldestIsAGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, tt := range []struct {
		name, cursor string
		want         string
	}{
		{"from the position before the first entry", "0-0.0-g", "history-expired null"},
		{"from an entry that is gone", "7-0", "history-expired null"},
	} {
		for _, follow := range []string{"before", "after"} {
			t.Run(tt.name+", followed "+follow+" the trimming", func(t *testing.T) {
				t.Parallel()
				g := redisGateway(t, server, history(10))
				name := fmt.Sprint("s", follow, tt.cursor)
				keep := func() {
					s := g.take(t, hub.Request{Topics: listOf(t, "stream:"+name), Last: 1})
					t.Cleanup(s.leave)
					s.untilData("100")
				}
				for n := 1; n <= 100; n++ {
					server.Do("XADD", name, fmt.Sprint(n, "-0"), "data", n)
				}
				if follow == "before" {
					keep()
				}
				server.Do("XTRIM", name, "MAXLEN", 40)
				if follow == "after" {
					keep()
				}
				s := g.take(t, hub.Request{Topics: listOf(t, "stream:"+name), IDs: []string{tt.cursor}})
				defer s.leave()
				s.untilData("100")
				s.expect("the client", series(61, 100), []string{"stream:" + name + " " + tt.want})
				s.expectResumed("the client", false)
				if !s.got[0].isGap() {
					t.Errorf("the gap does not come first: %v", s.got[0])
				}
				// Its id is where continuity starts again.
				again := g.take(t, hub.Request{Topics: listOf(t, "stream:"+name), IDs: []string{s.got[0].id}})
				defer again.leave()
				again.untilData("100")
				again.expect("back with the id of the gap", series(61, 100), nil)
				again.expectResumed("back with the id of the gap", true)
				// Whoever lost its line before it saw the gap is told of it again.
				before := g.take(t, hub.Request{Topics: listOf(t, "stream:"+name), IDs: []string{s.opened.id}})
				defer before.leave()
				if before.resumed {
					t.Errorf("the id of stream.open, %q, hides the gap", s.opened.id)
				}
			})
		}
	}
}

func TestStream_NewerThanRedisEverGaveIsUnknown(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(10), func(t *testing.T, g gateway) {
		put(t, g.source, "stream:s", series(1, 5)...)
		for _, cursor := range []string{"9999999999999-0", "18446744073709551615-18446744073709551615"} {
			for _, name := range []string{"stream:s", "stream:absent"} {
				s := g.take(t, hub.Request{Topics: listOf(t, name), IDs: []string{cursor}})
				s.expect(name+" after "+cursor, nil, []string{name + " unknown-cursor null"})
				s.expectResumed(cursor, false)
				s.leave()
			}
		}
		s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{"9999999999999-0"}})
		defer s.leave()
		put(t, g.source, "stream:s", "live")
		s.untilData("live")
		s.expect("then live", []string{"live"}, []string{"stream:s unknown-cursor null"})
	})
}

// An id that Redis has given, but that this node has not read yet, is no gap: it waits.
func TestStream_NodeThatIsBehindCatchesUpFirst(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(10))
	keep := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
	defer keep.leave()
	for n := range 100 {
		// In one script, as many entries as take the reader some time.
		ids, _ := server.Do("EVAL", "local ids = {} for i = 1, 50 do ids[i] = redis.call('XADD', 's', '*', 'data', i) end return ids", 0).([]any)
		s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{fmt.Sprint(ids[44])}})
		s.untilData("50")
		s.expect(fmt.Sprint("round ", n), series(46, 50), nil)
		s.expectResumed("the client", true)
		s.leave()
	}
}

func TestStream_LastGivesTheNewestEntries(t *testing.T) {
	t.Parallel()
	const n, held = 300, 120
	bothBrokers(t, history(held), func(t *testing.T, g gateway) {
		put(t, g.source, "stream:s", series(1, n)...)
		for _, last := range []int{0, 1, 10, 100, held} {
			s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), Last: last})
			s.drain()
			s.expect(fmt.Sprint("last=", last), series(n-last+1, n), nil)
			s.leave()
		}
		few := put(t, g.source, "stream:few", "1", "2")
		s := g.take(t, hub.Request{Topics: listOf(t, "stream:few"), Last: 10})
		defer s.leave()
		s.drain()
		s.expect("more than there are", []string{"1", "2"}, nil)
		if entryID(s.lastID()) != few[1] {
			t.Errorf("the id is %q", s.lastID())
		}
		back := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{s.opened.id}, Last: 10})
		defer back.leave()
		back.drain()
		if len(back.data()) != n && len(back.gaps()) == 0 {
			t.Errorf("a client that comes back gets %d entries: last= is for fresh ones", len(back.data()))
		}
	})
}

// last= counts entries in Redis, so that what the server keeps in memory does not matter.
func TestStream_LastReachesBeyondTheJournal(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(10), func(t *testing.T, g gateway) {
		put(t, g.source, "stream:s", series(1, 200)...)
		s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), Last: 150})
		defer s.leave()
		s.drain()
		s.expect("last=150", series(51, 200), nil)
	})
}

func TestStream_ReplaysReadInBoundedPages(t *testing.T) {
	t.Parallel()
	const n = 300
	watched := &ranges{Source: memory.New(source.Fill{Events: 10, Bytes: 1 << 30})}
	g := gatewayOver(t, watched, history(10))
	large := strings.Repeat("x", 20<<10)
	for i := range n {
		put(t, watched, "stream:s", fmt.Sprint(i, large))
	}
	put(t, watched, "stream:small", series(1, 2000)...)
	g.take(t, hub.Request{Topics: listOf(t, "stream:s", "stream:small")}).leave()
	s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{"1-0"}})
	defer s.leave()
	s.drain()
	if len(s.data()) != n {
		t.Errorf("%d entries come", len(s.data()))
	}
	// The first page is small since nothing is known of the size; the rest aim at 64 KiB.
	if s.largest > 17*(21<<10) {
		t.Errorf("a batch has %d bytes", s.largest)
	}
	var sizes []int
	for _, r := range watched.all[2:] {
		sizes = append(sizes, r.Count)
	}
	if slices.Max(sizes) > 8 {
		t.Errorf("pages of entries of 20 KiB have %v entries", sizes)
	}
	small := g.take(t, hub.Request{Topics: listOf(t, "stream:small"), IDs: []string{"1-0"}})
	defer small.leave()
	small.drain()
	if len(small.data()) != 2000 {
		t.Errorf("%d small entries come", len(small.data()))
	}
	for _, r := range watched.all {
		if r.Count > 64 {
			t.Errorf("a page of %d entries is asked for", r.Count)
		}
	}
}

func TestStream_ReplaysAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	const n, clients = 200, 100
	entered := make(chan struct{}, 1000)
	pass := make(chan struct{})
	watched := &ranges{Source: memory.New(source.Fill{Events: 10, Bytes: 1 << 30})}
	watched.before = func() {
		entered <- struct{}{}
		<-pass
	}
	g := gatewayOver(t, watched, history(10))
	ids := put(t, watched, "stream:s", series(1, n)...)
	g.take(t, hub.Request{Topics: listOf(t, "stream:s")}).leave()
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			sub, err := g.Subscribe(context.Background(), hub.Request{Topics: []event.Topic{{Kind: event.Stream, Pattern: "s"}}, IDs: []string{ids[i]}})
			if err != nil {
				t.Error(err)
				return
			}
			defer sub.Close()
			total := 0
			for {
				b, err := sub.Next(context.Background())
				if err != nil || len(b.Bytes) == 0 {
					break
				}
				total += b.Frames
			}
			if want := n - 1 - i; total != want {
				t.Errorf("client %d gets %d frames, want %d", i, total, want)
			}
		})
	}
	for range 16 {
		<-entered // as many as may read at once do
	}
	close(pass)
	running.Wait()
	if watched.mostNow > 16 {
		t.Errorf("%d read at once", watched.mostNow)
	}
}

func TestStream_EqualReplaysShareReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		watched := &ranges{Source: memory.New(source.Fill{Events: 10, Bytes: 1 << 30})}
		gate := make(chan struct{})
		watched.before = func() { <-gate }
		h := hub.New(watched, hub.Options{Node: "n", History: history(10), Linger: time.Hour}, noMetrics{})
		defer h.Close()
		for range 10 {
			go func() {
				if _, err := h.ReadRange(t.Context(), listOf(t, "stream:s")[0], source.Range{UpTo: event.MaxStreamID, Count: 1}); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		close(gate)
		synctest.Wait()
		if n := watched.count(); n != 1 {
			t.Errorf("%d reads for 10 equal ones", n)
		}
	})
}

func TestStream_ResumesWithinTheJournalCostRedisNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	first := redisGateway(t, server, history(500))
	ids := put(t, first.source, "stream:s", series(1, 400)...)
	// A node that has just been started fills its journal once.
	g := redisGateway(t, server, history(500))
	g.take(t, hub.Request{Topics: listOf(t, "stream:s")}).leave()
	before := reads(t, server, "xrange", "xrevrange")
	for i := range 1000 {
		k := i % 400
		s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{ids[k]}})
		s.drain()
		if len(s.data()) != 399-k || len(s.gaps()) > 0 {
			t.Fatalf("after entry %d come %d, %v", k+1, len(s.data()), s.gaps())
		}
		s.leave()
	}
	for range 200 { // fresh ones that ask for more than there is
		s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), Last: 1000})
		s.drain()
		s.expect("last=1000", series(1, 400), nil)
		s.leave()
	}
	// The live reader looks at quiet streams from time to time.
	if n := reads(t, server, "xrange", "xrevrange") - before; n > 100 {
		t.Errorf("1200 subscriptions cost %d reads", n)
	}
}

func TestStream_TrimmedWhileItIsReplayedIsAGapInItsPlace(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(10))
	for n := 1; n <= 500; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	g.take(t, hub.Request{Topics: listOf(t, "stream:s")}).leave()
	s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{"1-0"}})
	defer s.leave()
	for len(s.data()) == 0 {
		s.next()
	}
	read := len(s.data())
	server.Do("XTRIM", "s", "MAXLEN", 100)
	s.untilData("500")
	s.expect("the client", append(series(2, read+1), series(401, 500)...), []string{"stream:s history-expired null"})
	if !s.got[read].isGap() {
		t.Errorf("the gap is not in its place: %v", s.got[read])
	}
	again := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{s.got[read].id}})
	defer again.leave()
	again.untilData("500")
	again.expect("back with the id of the gap", series(401, 500), nil)
}

// An entry that was deleted before a client saw it is missing, and Redis can tell.
func TestStream_EntryDeletedWhileTheClientWasAwayIsAGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(5))
	for n := 1; n <= 50; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	server.Do("XDEL", "s", "20-0")
	g.take(t, hub.Request{Topics: listOf(t, "stream:s")}).leave()
	s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{"10-0"}})
	defer s.leave()
	s.untilData("50")
	if len(s.gaps()) != 1 {
		t.Errorf("entry 20 is missing, and the gaps are %q", s.gaps())
	}
	later := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{"30-0"}})
	defer later.leave()
	later.untilData("50")
	later.expect("a client that was further", series(31, 50), nil)
}

// Cursors from before a stream was made anew name no place in the new one.
func TestStream_MadeAnewWhileTheClientWasAwayIsAGap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		ids     []int // of the new one; the old one had 11 to 15
		cursor  string
		data    []string
		several bool // the new one is noticed entry by entry
	}{
		{"higher ids, from the last", []int{21, 22, 23}, "15-0", []string{"21", "22", "23"}, true},
		{"higher ids, from the last, at once", []int{21, 22, 23}, "15-0", []string{"21", "22", "23"}, false},
		{"higher ids, from one in the middle", []int{21, 22, 23}, "13-0", []string{"21", "22", "23"}, true},
		{"lower ids", []int{1, 2, 3}, "15-0", nil, true},
		{"ids around the cursor", []int{1, 12, 30}, "15-0", []string{"30"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g := redisGateway(t, server, history(100))
			live := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
			defer live.leave()
			for n := 11; n <= 15; n++ {
				server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
			}
			live.untilData("15")
			server.Do("XADD", "s", "16-0", "data", "seen by few")
			live.untilData("seen by few")
			if tt.several {
				server.Do("DEL", "s")
				live.until("a gap", func() bool { return len(live.gaps()) > 0 })
				for _, n := range tt.ids {
					server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
				}
			} else {
				script := "redis.call('DEL', 's')"
				for _, n := range tt.ids {
					script += fmt.Sprintf(" redis.call('XADD', 's', '%d-0', 'data', '%d')", n, n)
				}
				server.Do("EVAL", script, 0)
			}
			live.untilData(fmt.Sprint(tt.ids[2]))
			if len(live.gaps()) != 1 {
				t.Errorf("whoever was there is told %q", live.gaps())
			}
			s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{tt.cursor}})
			defer s.leave()
			s.drain()
			if len(s.gaps()) == 0 {
				t.Errorf("it is told of no gap, and gets %q", s.data())
			}
			for _, n := range tt.data {
				if !slices.Contains(s.data(), n) {
					t.Errorf("%s is missing from %q", n, s.data())
				}
			}
			// What was delivered in the new stream is a place in it.
			again := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{fmt.Sprint(tt.ids[0], "-0")}})
			defer again.leave()
			again.drain()
			again.expect("from the first of the new one", []string{fmt.Sprint(tt.ids[1]), fmt.Sprint(tt.ids[2])}, nil)
		})
	}
}

// A failover lost the newest entries: clients that had them, and clients that did not,
// must both hear of it, however the ids go on.
func TestStream_FailoverThatLostEntriesIsAGapForWhoeverComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(100))
	live := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
	defer live.leave()
	for n := 1; n <= 5; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	kept := server.Client().Dump(t.Context(), "s").Val()
	for n := 6; n <= 9; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	live.untilData("9")
	server.Do("RESTORE", "s", 0, kept, "REPLACE")
	live.until("a gap", func() bool { return len(live.gaps()) > 0 })
	gapID := live.lastID()
	check := func(when string, more []string) {
		t.Helper()
		for _, tt := range []struct {
			name, cursor string
			gap          bool
		}{
			{"one that had all that was lost", "9-0", true},
			{"one that had some of it", "7-0", true},
			{"one that had none of it", "5-0", true},
			{"one that was further back", "3-0", true},
			{"one that saw the gap", gapID, false},
		} {
			s := g.take(t, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{tt.cursor}})
			s.drain()
			if tt.gap && len(s.gaps()) == 0 {
				t.Errorf("%s: %s, with the cursor %s, gets %q and no gap", when, tt.name, tt.cursor, s.data())
			}
			if !tt.gap && (len(s.gaps()) > 0 || !slices.Equal(s.data(), more)) {
				t.Errorf("%s: %s, with the cursor %s, gets %q and the gaps %q", when, tt.name, tt.cursor, s.data(), s.gaps())
			}
			for _, want := range more {
				if !slices.Contains(s.data(), want) {
					t.Errorf("%s: %s misses %s", when, tt.name, want)
				}
			}
			s.leave()
		}
	}
	check("before anything new", nil)
	server.Do("XADD", "s", "20-0", "data", "20")
	live.untilData("20")
	check("when the ids have gone on", []string{"20"})
}

// The last id of a stream without entries can be set forward; another node begins there.
func TestStream_LastIDSetForwardIsNoDeadEnd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := redisGateway(t, server, history(100))
	keep := one.take(t, hub.Request{Topics: listOf(t, "stream:s")})
	defer keep.leave()
	server.Do("XADD", "s", "1-0", "data", "1")
	keep.untilData("1")
	server.Do("XTRIM", "s", "MAXLEN", 0)
	server.Do("XSETID", "s", "100-0")
	other := redisGateway(t, server, history(100))
	s := other.take(t, hub.Request{Topics: listOf(t, "stream:s")})
	s.leave()
	ctx, cancel := context.WithTimeout(t.Context(), longest/6)
	defer cancel()
	sub, err := one.Subscribe(ctx, hub.Request{Topics: listOf(t, "stream:s"), IDs: []string{s.lastID()}})
	if err != nil {
		t.Fatalf("with the cursor %s, which another node has just given: %v", s.lastID(), err)
	}
	sub.Close()
}

func TestStream_SlowConsumerLosesNothing(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(7), func(t *testing.T, g gateway) {
		alone := g.take(t, hub.Request{Topics: listOf(t, "stream:s")})
		defer alone.leave()
		among := g.take(t, hub.Request{Topics: listOf(t, "stream:s", "channel:c", "key:k")})
		defer among.leave()
		put(t, g.source, "stream:s", series(1, 3)...)
		alone.untilData("3")
		put(t, g.source, "stream:s", series(4, 2000)...)
		put(t, g.source, "channel:c", "x")
		for _, s := range []*seat{alone, among} {
			s.untilData("2000")
		}
		alone.expect("alone", series(1, 2000), nil)
		var ofStream []string
		for _, b := range among.got {
			if b.origin() == "stream:s" {
				ofStream = append(ofStream, b.data)
			}
		}
		if !slices.Equal(ofStream, series(1, 2000)) || len(among.gaps()) > 0 {
			t.Errorf("among others: %d entries, gaps %q", len(ofStream), among.gaps())
		}
	})
}

func TestKey_ResumeSendsTheValueOnlyIfItChanged(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, tt := range []struct {
		name string
		do   []any
		want []string
	}{
		{"unchanged", nil, nil},
		{"written again", []any{"SET", "k", "1"}, nil},
		{"changed", []any{"SET", "k", "2"}, []string{"2"}},
		{"changed and back", []any{"EVAL", "redis.call('SET', KEYS[1], '2') redis.call('SET', KEYS[1], '1')", 1, "k"}, nil},
		{"deleted", []any{"DEL", "k"}, []string{"null"}},
		{"another type", []any{"EVAL", "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'a')", 1, "k"}, []string{`["a"]`}},
	} {
		for _, where := range []string{"on the same node", "on another node"} {
			t.Run(tt.name+" "+where, func(t *testing.T) {
				t.Parallel()
				one := redisGateway(t, server, history(10))
				other := one
				if where == "on another node" {
					other = redisGateway(t, server, history(10))
				}
				name := strings.ReplaceAll(tt.name+where, " ", "-")
				server.Do("SET", name, "1")
				keep := other.take(t, hub.Request{Topics: listOf(t, "key:"+name)})
				defer keep.leave()
				s := one.take(t, hub.Request{Topics: listOf(t, "key:"+name)})
				s.untilData("1")
				s.leave()
				if tt.do != nil {
					command := slices.Clone(tt.do)
					command[slices.Index(command, any("k"))] = name
					server.Do(command...)
				}
				if tt.want != nil {
					keep.untilData(tt.want[0])
				}
				for _, cursor := range []string{s.lastID(), s.got[0].id} {
					back := other.take(t, hub.Request{Topics: listOf(t, "key:"+name), IDs: []string{cursor}})
					back.drain()
					back.expect("the client", tt.want, nil)
					back.expectResumed("the client", true)
					if tt.want != nil && tt.want[0] == "null" && back.got[0].kind != event.KeyDeleted {
						t.Errorf("the deletion comes as %v", back.got[0])
					}
					back.leave()
				}
				opened := other.take(t, hub.Request{Topics: listOf(t, "key:"+name), IDs: []string{s.opened.id}})
				defer opened.leave()
				opened.drain()
				if n := len(opened.data()); n > 1 || n == 0 && tt.want != nil || !opened.resumed {
					t.Errorf("a client that saw only stream.open gets %q, resumed %v", opened.data(), opened.resumed)
				}
			})
		}
	}
}

func TestKey_AbsentFromTheStartIsToldOnce(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(10), func(t *testing.T, g gateway) {
		s := g.take(t, hub.Request{Topics: listOf(t, "key:k")})
		s.drain()
		s.expect("the fresh client", []string{"null"}, nil)
		s.leave()
		back := g.take(t, hub.Request{Topics: listOf(t, "key:k"), IDs: []string{s.lastID()}})
		defer back.leave()
		back.drain()
		back.expect("the one that came back", nil, nil)
		back.expectResumed("the one that came back", true)
	})
}

func TestKeyGlob_ResumeOnTheSameNodeSendsWhatChanged(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(5))
	for i := range 200 {
		server.Do("SET", fmt.Sprint("g:", i), fmt.Sprint("v", i))
	}
	s := g.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
	s.drain()
	if len(s.data()) != 200 || len(s.gaps()) > 0 {
		t.Fatalf("the snapshot has %d keys, gaps %q", len(s.data()), s.gaps())
	}
	middle := s.got[99].id
	s.leave()
	keep := g.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
	defer keep.leave()
	server.Do("SET", "g:1", "changed")
	server.Do("DEL", "g:2")
	server.Do("SET", "g:3", "v3")
	server.Do("SET", "g:new", "created")
	server.Do("EVAL", "redis.call('SET', 'g:brief', 'x') redis.call('DEL', 'g:brief')", 0)
	server.Do("SET", "g:last", "last")
	keep.untilData("last")
	back := g.take(t, hub.Request{Topics: listOf(t, "key:g:*"), IDs: []string{s.lastID()}})
	defer back.leave()
	back.drain()
	want := []string{"key:g:1 changed", "key:g:2 null", "key:g:last last", "key:g:new created"}
	var got []string
	for _, b := range back.got {
		got = append(got, b.origin()+" "+b.data)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || !back.resumed {
		t.Errorf("it gets %q, want %q; resumed is %v", got, want, back.resumed)
	}
	// In the middle of a snapshot it has no place: all that it misses comes, and what it
	// has may come again.
	half := g.take(t, hub.Request{Topics: listOf(t, "key:g:*"), IDs: []string{middle}})
	defer half.leave()
	half.drain()
	values := make(map[string]string)
	for _, b := range slices.Concat(s.got[:100], half.got) {
		values[b.origin()] = b.data
	}
	for i := range 200 {
		name, want := fmt.Sprint("key:g:", i), fmt.Sprint("v", i)
		if i == 1 {
			want = "changed"
		}
		if i == 2 {
			continue // checked below
		}
		if values[name] != want {
			t.Errorf("a client that had half of it has %q for %s", values[name], name)
		}
	}
	if slices.ContainsFunc(s.got[:100], func(b block) bool { return b.origin() == "key:g:2" }) && values["key:g:2"] != "null" {
		t.Errorf("a client that had g:2 is not told that it is gone: %q", values["key:g:2"])
	}
}

func TestKeyGlob_ResumeOnAnotherNodeIsAGapAndAllValues(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := redisGateway(t, server, history(5)), redisGateway(t, server, history(5))
	for i := range 100 {
		server.Do("SET", fmt.Sprint("g:", i), "x")
	}
	s := one.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
	s.drain()
	s.leave()
	keep := other.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
	defer keep.leave()
	keep.drain()
	server.Do("DEL", "g:7")
	for i := 20; i < 40; i++ { // so that this node has counted further
		server.Do("SET", fmt.Sprint("g:", i), "y")
	}
	keep.until("the changes", func() bool { return len(keep.data()) == 121 })
	back := other.take(t, hub.Request{Topics: listOf(t, "key:g:*"), IDs: []string{s.lastID()}})
	defer back.leave()
	back.drain()
	if len(back.data()) != 99 || !slices.Equal(back.gaps(), []string{"key:g:* unknown-cursor null"}) || !back.got[0].isGap() || back.resumed {
		t.Errorf("it gets %d values and the gaps %q, resumed %v", len(back.data()), back.gaps(), back.resumed)
	}
	again := other.take(t, hub.Request{Topics: listOf(t, "key:g:*"), IDs: []string{back.lastID()}})
	defer again.leave()
	again.drain()
	again.expect("back once more", nil, nil)
	again.expectResumed("back once more", true)
	// The gap's id does not stand for values that have not been sent yet.
	gap := other.take(t, hub.Request{Topics: listOf(t, "key:g:*"), IDs: []string{back.got[0].id}})
	defer gap.leave()
	gap.drain()
	if len(gap.data()) != 99 {
		t.Errorf("back with the id of the gap it gets %d values", len(gap.data()))
	}
}

// The value that the node has may be older than the client's: nobody can tell now.
func TestKey_ResumeWhileRedisStandsStillBringsNoOlderValue(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := redisGateway(t, server, history(10)), redisGateway(t, server, history(10))
	put(t, one.source, "key:k", "1")
	keep := other.take(t, hub.Request{Topics: listOf(t, "key:k")})
	defer keep.leave()
	s := one.take(t, hub.Request{Topics: listOf(t, "key:k")})
	defer s.leave()
	put(t, one.source, "key:k", "2")
	s.untilData("2")
	back := hub.Request{Topics: listOf(t, "key:k"), IDs: []string{s.lastID()}}
	put(t, one.source, "key:k", "1")
	keep.untilData("1")
	server.Pause()
	if _, err := other.tryTake(t, back); !errors.Is(err, source.ErrUnavailable) {
		t.Errorf("with another value: %v", err)
	}
	server.Continue()
	again := other.take(t, back)
	defer again.leave()
	again.untilData("1")
}

// However long the channel takes, there is time for the key.
func TestMixed_KeyCatchesUpAlthoughAChannelCannot(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	options, err := redis.ParseURL("redis://" + proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	one := redisGateway(t, server, history(10))
	other := gatewayOver(t, redis.Open(options, "other", source.Fill{Events: 10, Bytes: 1 << 20}, slog.New(slog.DiscardHandler)), history(10))
	list := listOf(t, "channel:a", "channel:b", "channel:c", "channel:d", "key:k")
	put(t, one.source, "key:k", "1")
	keep := other.take(t, hub.Request{Topics: list})
	defer keep.leave()
	s := one.take(t, hub.Request{Topics: list})
	defer s.leave()
	keep.untilData("1")
	one.settle(t) // so that cursors in channels have names that both know
	other.settle(t)
	one.settle(t)
	proxy.SwallowSubscribed()
	put(t, one.source, "key:k", "2")
	s.untilData("2")
	put(t, one.source, "channel:c", "m")
	s.untilData("m")
	back := other.take(t, hub.Request{Topics: list, IDs: []string{s.lastID()}})
	defer back.leave()
	back.until("the gap of the channel", func() bool { return len(back.gaps()) > 0 })
	back.drain()
	if got := back.data(); slices.Contains(got, "1") {
		t.Errorf("the client, which had the value 2, is given %q", got)
	}
}

// Values older than those that the client may have from the other node would take it back.
func TestKeyGlob_NodeThatIsBehindCatchesUpFirst(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := redisGateway(t, server, history(10)), redisGateway(t, server, history(10))
	s := one.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
	s.leave()
	keep := other.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
	defer keep.leave()
	for n := range 50 {
		// In one script, as many keys as take the reader some time.
		server.Do("EVAL", "for i = 1, 200 do redis.call('SET', 'g:' .. i, ARGV[1]) end", 0, n)
		back := other.take(t, hub.Request{Topics: listOf(t, "key:g:*"), IDs: []string{s.opened.id}})
		back.drain()
		back.expect(fmt.Sprint("round ", n), slices.Repeat([]string{fmt.Sprint(n)}, 200), []string{"key:g:* unknown-cursor null"})
		back.leave()
	}
}

func TestKey_SlowConsumerEndsOnTheLastValue(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(5), func(t *testing.T, g gateway) {
		for i := range 20 {
			put(t, g.source, fmt.Sprint("key:g:", i), "before")
		}
		keep := g.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
		defer keep.leave()
		literal := g.take(t, hub.Request{Topics: listOf(t, "key:g:7")})
		defer literal.leave()
		glob := g.take(t, hub.Request{Topics: listOf(t, "key:g:*")})
		defer glob.leave()
		among := g.take(t, hub.Request{Topics: listOf(t, "key:g:*", "key:g:7", "channel:c")})
		defer among.leave()
		for round := range 30 {
			for i := range 20 {
				put(t, g.source, fmt.Sprint("key:g:", i), fmt.Sprint("g:", i, "=", round))
			}
		}
		for i := range 20 {
			keep.untilData(fmt.Sprint("g:", i, "=29"))
		}
		for who, s := range map[string]*seat{"literal": literal, "glob": glob, "among others": among} {
			s.untilData("g:7=29")
			s.drain()
			values := make(map[string]string)
			for _, b := range s.got {
				name := b.origin()
				if who == "literal" {
					name = "key:g:7"
				}
				if !b.isGap() {
					values[name] = b.data
				}
			}
			for name, v := range values {
				if want := strings.TrimPrefix(name, "key:") + "=29"; v != want {
					t.Errorf("%s: %s ends on %q", who, name, v)
				}
			}
			if len(s.gaps()) > 0 {
				t.Errorf("%s: gaps %q", who, s.gaps())
			}
			if who != "literal" && len(values) != 20 {
				t.Errorf("%s: %d keys", who, len(values))
			}
		}
	})
}
