package hub_test

import (
	"context"
	"errors"
	"fmt"
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
	"sluice/internal/test/redistest"
)

func bothBrokers(t *testing.T, limits journal.Limits, test func(t *testing.T, g gateway)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		fill := source.Fill{Events: limits.Events, Bytes: limits.Bytes}
		test(t, newGateway(t, memory.New(fill), limits))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, redisGateway(t, redistest.Start(t), limits))
	})
}

func TestStream_ResumesFromRetainedIDs(t *testing.T) {
	t.Parallel()
	const n, held = 400, 50
	bothBrokers(t, history(held), func(t *testing.T, g gateway) {
		ids := publish(t, g.source, "stream:s", numbers(1, n/2)...) // before the topic is followed
		keep := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
		defer keep.close()
		ids = append(ids, publish(t, g.source, "stream:s", numbers(n/2+1, n)...)...)
		keep.awaitData(fmt.Sprint(n))
		for i := -1; i < n; i++ {
			if i > 5 && i < n-held-5 && i%41 != 0 {
				continue
			}
			cursor := "0-0"
			if i >= 0 {
				cursor = ids[i]
			}
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{cursor}})
			s.read()
			s.check(fmt.Sprint("resumed after entry ", i+1), numbers(i+2, n), nil)
			s.checkResumed(cursor, true)
			for k, b := range s.got {
				if entryID(b.id) != ids[i+1+k] {
					t.Fatalf("entry %d: got id %q, want %s", i+2+k, b.id, ids[i+1+k])
				}
			}
			s.close()
		}
	})
}

func TestStream_ReplayContinuesLive(t *testing.T) {
	t.Parallel()
	const n = 500
	bothBrokers(t, history(20), func(t *testing.T, g gateway) {
		publish(t, g.source, "stream:s", numbers(1, n)...)
		s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"0-1"}})
		defer s.close()
		for i := range 200 { // while the pages are read
			s.next()
			publish(t, g.source, "stream:s", fmt.Sprint(n+1+i))
		}
		s.awaitData(fmt.Sprint(n + 200))
		s.check("the client", numbers(1, n+200), s.gaps())
		if len(s.gaps()) > 1 {
			t.Errorf("got gaps %q", s.gaps())
		}
	})
}

// A client that saw only stream.open of an empty stream has the cursor 0-0.
func TestStream_EmptyAtOpenLosesNothing(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(20), func(t *testing.T, g gateway) {
		s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
		s.close()
		publish(t, g.source, "stream:s", numbers(1, 100)...)
		back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.lastID()}})
		defer back.close()
		back.awaitData("100")
		back.check("the client", numbers(1, 100), nil)
		back.checkResumed("the client", true)
	})
}

func TestStream_EmptyAtOpenResumesOnLaterNode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := redisGateway(t, server, history(20))
	s := one.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	s.close()
	publish(t, one.source, "stream:s", numbers(1, 200)...)
	other := redisGateway(t, server, history(20))
	back := other.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.lastID()}})
	defer back.close()
	back.awaitData("200")
	back.check("the client", numbers(1, 200), nil)
	back.checkResumed("the client", true)
}

func TestStream_OlderThanOldestIsGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, tt := range []struct {
		name, cursor string
		want         string
	}{
		{"from the position before the first entry", "0-0.0-g", "history-expired null"},
		{"from a removed entry", "7-0", "history-expired null"},
	} {
		for _, follow := range []string{"before", "after"} {
			t.Run(tt.name+", followed "+follow+" the trimming", func(t *testing.T) {
				t.Parallel()
				g := redisGateway(t, server, history(10))
				name := fmt.Sprint("s", follow, tt.cursor)
				keep := func() {
					s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:"+name), Last: 1})
					t.Cleanup(s.close)
					s.awaitData("100")
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
				s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:"+name), IDs: []string{tt.cursor}})
				defer s.close()
				s.awaitData("100")
				s.check("the client", numbers(61, 100), []string{"stream:" + name + " " + tt.want})
				s.checkResumed("the client", false)
				if !s.got[0].isGap() {
					t.Errorf("got first event %v, want a gap", s.got[0])
				}
				// Its id is the position at which continuity starts again.
				again := g.subscribe(t, hub.Request{Topics: topics(t, "stream:"+name), IDs: []string{s.got[0].id}})
				defer again.close()
				again.awaitData("100")
				again.check("back with the id of the gap", numbers(61, 100), nil)
				again.checkResumed("back with the id of the gap", true)
				// A client that reconnects from before the gap gets it again.
				before := g.subscribe(t, hub.Request{Topics: topics(t, "stream:"+name), IDs: []string{s.openID}})
				defer before.close()
				if before.opened.Resumed {
					t.Errorf("after a reconnect with the id %q of stream.open: got no gap", s.openID)
				}
			})
		}
	}
}

func TestStream_FutureIDIsUnknown(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(10), func(t *testing.T, g gateway) {
		publish(t, g.source, "stream:s", numbers(1, 5)...)
		for _, cursor := range []string{"9999999999999-0", "18446744073709551615-18446744073709551615"} {
			for _, name := range []string{"stream:s", "stream:absent"} {
				s := g.subscribe(t, hub.Request{Topics: topics(t, name), IDs: []string{cursor}})
				s.check(name+" after "+cursor, nil, []string{name + " unknown-cursor null"})
				s.checkResumed(cursor, false)
				s.close()
			}
		}
		s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"9999999999999-0"}})
		defer s.close()
		publish(t, g.source, "stream:s", "live")
		s.awaitData("live")
		s.check("then live", []string{"live"}, []string{"stream:s unknown-cursor null"})
	})
}

// An id of an entry that this node has not read yet is not a gap: the node waits for the entry.
func TestStream_LaggingNodeCatchesUpFirst(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(10))
	keep := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	defer keep.close()
	for n := range 100 {
		// One script adds so many entries that the reader needs some time.
		ids, _ := server.Do("EVAL", "local ids = {} for i = 1, 50 do ids[i] = redis.call('XADD', 's', '*', 'data', i) end return ids", 0).([]any)
		s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{fmt.Sprint(ids[44])}})
		s.awaitData("50")
		s.check(fmt.Sprint("round ", n), numbers(46, 50), nil)
		s.checkResumed("the client", true)
		s.close()
	}
}

func TestStream_LastSendsNewestEntries(t *testing.T) {
	t.Parallel()
	const n, held = 300, 120
	bothBrokers(t, history(held), func(t *testing.T, g gateway) {
		publish(t, g.source, "stream:s", numbers(1, n)...)
		for _, last := range []int{0, 1, 10, 100, held} {
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: last})
			s.read()
			s.check(fmt.Sprint("last=", last), numbers(n-last+1, n), nil)
			s.close()
		}
		few := publish(t, g.source, "stream:few", "1", "2")
		s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:few"), Last: 10})
		defer s.close()
		s.read()
		s.check("more than there are", []string{"1", "2"}, nil)
		if entryID(s.lastID()) != few[1] {
			t.Errorf("got id %q", s.lastID())
		}
	})
}

// A client that disconnects before its first entry resumes with the id of stream.open.
func TestStream_LastResumesBeforeFirstEntry(t *testing.T) {
	t.Parallel()
	const n = 100
	bothBrokers(t, history(10), func(t *testing.T, g gateway) {
		publish(t, g.source, "stream:s", numbers(1, n)...)
		live := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
		defer live.close()
		publish(t, g.source, "stream:s", numbers(n+1, n+5)...)
		live.awaitData(fmt.Sprint(n + 5))
		for _, last := range []int{1, 5, 6, n, n + 4, n + 5, 1000} {
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: last})
			back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.openID}, Last: 10})
			back.read()
			back.check(fmt.Sprint("last=", last), numbers(max(n+6-last, 1), n+5), nil)
			back.checkResumed(fmt.Sprint("last=", last), true)
			back.close()
			s.close()
		}
	})
}

func TestStream_LastResumesBeforeFirstEntryOfTrimmed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(10))
	publish(t, g.source, "stream:s", numbers(1, 100)...)
	server.Do("XTRIM", "s", "MAXLEN", 60)
	for _, last := range []int{59, 60, 61} {
		s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: last})
		s.close()
		back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.openID}})
		back.read()
		back.check(fmt.Sprint("last=", last), numbers(max(101-last, 41), 100), nil)
		back.close()
	}
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 60})
	s.close()
	server.Do("XTRIM", "s", "MAXLEN", 50)
	back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.openID}})
	defer back.close()
	back.read()
	back.check("trimmed since", numbers(51, 100), []string{"stream:s history-expired null"})
}

func TestStream_EndResumesBeforeItIsDelivered(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("XADD", "s", "*", "data", "1")
	server.Do("XADD", "s", "*", "data", "end", "event", event.StreamEnd)
	g := redisGateway(t, server, history(10))
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	s.close()
	back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.openID}})
	defer back.close()
	back.awaitData("end")
	back.check("the client", []string{"end"}, nil)
}

// last= counts entries in Redis, so the size of the journal does not matter.
func TestStream_LastExceedsJournal(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(10), func(t *testing.T, g gateway) {
		publish(t, g.source, "stream:s", numbers(1, 200)...)
		s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 150})
		defer s.close()
		s.read()
		s.check("last=150", numbers(51, 200), nil)
	})
}

func TestStream_ReplayPagesAreBounded(t *testing.T) {
	t.Parallel()
	const n = 300
	watched := &rangeRecorder{Source: memory.New(source.Fill{Events: 10, Bytes: 1 << 30})}
	g := newGateway(t, watched, history(10))
	large := strings.Repeat("x", 20<<10)
	for i := range n {
		publish(t, watched, "stream:s", fmt.Sprint(i, large))
	}
	publish(t, watched, "stream:small", numbers(1, 2000)...)
	g.subscribe(t, hub.Request{Topics: topics(t, "stream:s", "stream:small")}).close()
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"1-0"}})
	defer s.close()
	s.read()
	if len(s.data()) != n {
		t.Errorf("got %d entries", len(s.data()))
	}
	// The first page is small because the size of entries is unknown. The others aim at 64 KiB.
	if s.largest > 17*(21<<10) {
		t.Errorf("got a batch of %d bytes", s.largest)
	}
	var sizes []int
	for _, r := range watched.all[2:] {
		sizes = append(sizes, r.Count)
	}
	if slices.Max(sizes) > 8 {
		t.Errorf("got pages of %v entries of 20 KiB", sizes)
	}
	small := g.subscribe(t, hub.Request{Topics: topics(t, "stream:small"), IDs: []string{"1-0"}})
	defer small.close()
	small.read()
	if len(small.data()) != 2000 {
		t.Errorf("got %d small entries", len(small.data()))
	}
	for _, r := range watched.all {
		if r.Count > 64 {
			t.Errorf("got a request for a page of %d entries", r.Count)
		}
	}
}

func TestStream_ConcurrentReplaysAreBounded(t *testing.T) {
	t.Parallel()
	const n, clients = 200, 100
	entered := make(chan struct{}, 1000)
	pass := make(chan struct{})
	watched := &rangeRecorder{Source: memory.New(source.Fill{Events: 10, Bytes: 1 << 30})}
	watched.before = func() {
		entered <- struct{}{}
		<-pass
	}
	g := newGateway(t, watched, history(10))
	ids := publish(t, watched, "stream:s", numbers(1, n)...)
	g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")}).close()
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
				t.Errorf("client %d: got %d frames, want %d", i, total, want)
			}
		})
	}
	for range 16 {
		<-entered // the maximum number of concurrent reads has started
	}
	close(pass)
	running.Wait()
	if watched.mostNow > 16 {
		t.Errorf("got %d concurrent reads", watched.mostNow)
	}
}

func TestStream_EqualReplaysShareReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		watched := &rangeRecorder{Source: memory.New(source.Fill{Events: 10, Bytes: 1 << 30})}
		gate := make(chan struct{})
		watched.before = func() { <-gate }
		h := hub.New(watched, hub.Options{Node: "n", History: history(10), Linger: time.Hour}, noMetrics{})
		defer h.Close()
		for range 10 {
			go func() {
				if _, err := h.ReadRange(t.Context(), topics(t, "stream:s")[0], source.Range{UpTo: event.MaxStreamID, Count: 1}); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		close(gate)
		synctest.Wait()
		if n := watched.count(); n != 1 {
			t.Errorf("got %d reads for 10 equal replays", n)
		}
	})
}

func TestStream_ResumeWithinJournalReadsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	first := redisGateway(t, server, history(500))
	ids := publish(t, first.source, "stream:s", numbers(1, 400)...)
	// A new node fills its journal once.
	g := redisGateway(t, server, history(500))
	g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")}).close()
	before, began := reads(t, server, "xrange", "xrevrange"), time.Now()
	for i := range 1000 {
		k := i % 400
		s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{ids[k]}})
		s.read()
		if len(s.data()) != 399-k || len(s.gaps()) > 0 {
			t.Fatalf("after entry %d: got %d entries, gaps %v", k+1, len(s.data()), s.gaps())
		}
		s.close()
	}
	for range 200 { // new clients that request more entries than exist
		s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 1000})
		s.read()
		s.check("last=1000", numbers(1, 400), nil)
		s.close()
	}
	// The live reader reads a quiet stream again when a client connects, but not for each one.
	atMost := 2 * (1 + int(time.Since(began)/source.ExistsAge))
	if n := reads(t, server, "xrange", "xrevrange") - before; n > atMost {
		t.Errorf("got %d reads for 1200 subscriptions, want at most %d", n, atMost)
	}
}

func TestStream_TrimDuringReplayIsGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(10))
	for n := 1; n <= 500; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")}).close()
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"1-0"}})
	defer s.close()
	for len(s.data()) == 0 {
		s.next()
	}
	read := len(s.data())
	server.Do("XTRIM", "s", "MAXLEN", 100)
	s.awaitData("500")
	s.check("the client", append(numbers(2, read+1), numbers(401, 500)...), []string{"stream:s history-expired null"})
	if !s.got[read].isGap() {
		t.Errorf("got %v, want the gap here", s.got[read])
	}
	again := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.got[read].id}})
	defer again.close()
	again.awaitData("500")
	again.check("back with the id of the gap", numbers(401, 500), nil)
}

// An entry was deleted before a client received it, and Redis reports the deletion.
func TestStream_DeletionWhileDisconnectedIsGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(5))
	for n := 1; n <= 50; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	server.Do("XDEL", "s", "20-0")
	g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")}).close()
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"10-0"}})
	defer s.close()
	s.awaitData("50")
	if len(s.gaps()) != 1 {
		t.Errorf("entry 20 is missing: got gaps %q", s.gaps())
	}
	later := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"30-0"}})
	defer later.close()
	later.awaitData("50")
	later.check("a client that was further", numbers(31, 50), nil)
}

// Cursors from before a stream was deleted and created again are not positions in the new one.
func TestStream_CreatedAgainWhileDisconnectedIsGap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		ids     []int // ids in the new stream; the old one had 11 to 15
		cursor  string
		data    []string
		several bool // the node reads the new stream entry by entry
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
			live := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
			defer live.close()
			for n := 11; n <= 15; n++ {
				server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
			}
			live.awaitData("15")
			server.Do("XADD", "s", "16-0", "data", "seen by few")
			live.awaitData("seen by few")
			if tt.several {
				server.Do("DEL", "s")
				live.await("a gap", func() bool { return len(live.gaps()) > 0 })
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
			live.awaitData(fmt.Sprint(tt.ids[2]))
			if len(live.gaps()) != 1 {
				t.Errorf("connected client: got gaps %q", live.gaps())
			}
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{tt.cursor}})
			defer s.close()
			s.read()
			if len(s.gaps()) == 0 {
				t.Errorf("got no gap and events %q", s.data())
			}
			for _, n := range tt.data {
				if !slices.Contains(s.data(), n) {
					t.Errorf("%s is missing from %q", n, s.data())
				}
			}
			// An event of the new stream is a position in it.
			again := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{fmt.Sprint(tt.ids[0], "-0")}})
			defer again.close()
			again.read()
			again.check("from the first of the new one", []string{fmt.Sprint(tt.ids[1]), fmt.Sprint(tt.ids[2])}, nil)
		})
	}
}

// A failover lost the newest entries. Clients that had received them and clients that had not must
// both get a gap, whatever ids follow.
func TestStream_FailoverLossIsGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(100))
	live := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	defer live.close()
	for n := 1; n <= 5; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	kept := server.Client().Dump(t.Context(), "s").Val()
	for n := 6; n <= 9; n++ {
		server.Do("XADD", "s", fmt.Sprint(n, "-0"), "data", n)
	}
	live.awaitData("9")
	server.Do("RESTORE", "s", 0, kept, "REPLACE")
	live.await("a gap", func() bool { return len(live.gaps()) > 0 })
	gapID := live.lastID()
	check := func(when string, more []string) {
		t.Helper()
		for _, tt := range []struct {
			name, cursor string
			gap          bool
		}{
			{"client that had all lost entries", "9-0", true},
			{"client that had some of them", "7-0", true},
			{"client that had none of them", "5-0", true},
			{"client that was further behind", "3-0", true},
			{"client that received the gap", gapID, false},
		} {
			s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{tt.cursor}})
			s.read()
			if tt.gap && len(s.gaps()) == 0 {
				t.Errorf("%s: %s, with the cursor %s: got %q and no gap", when, tt.name, tt.cursor, s.data())
			}
			if !tt.gap && (len(s.gaps()) > 0 || !slices.Equal(s.data(), more)) {
				t.Errorf("%s: %s, with the cursor %s: got %q and gaps %q", when, tt.name, tt.cursor, s.data(), s.gaps())
			}
			for _, want := range more {
				if !slices.Contains(s.data(), want) {
					t.Errorf("%s: %s misses %s", when, tt.name, want)
				}
			}
			s.close()
		}
	}
	check("before anything new", nil)
	server.Do("XADD", "s", "20-0", "data", "20")
	live.awaitData("20")
	check("when the ids have gone on", []string{"20"})
}

// XSETID can advance the last id of an empty stream. Another node starts there.
func TestStream_ResumesAfterXSETID(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := redisGateway(t, server, history(100))
	keep := one.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	defer keep.close()
	server.Do("XADD", "s", "1-0", "data", "1")
	keep.awaitData("1")
	server.Do("XTRIM", "s", "MAXLEN", 0)
	server.Do("XSETID", "s", "100-0")
	other := redisGateway(t, server, history(100))
	s := other.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	s.close()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout/6)
	defer cancel()
	sub, err := one.Subscribe(ctx, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{s.lastID()}})
	if err != nil {
		t.Fatalf("cursor %s of another node: %v", s.lastID(), err)
	}
	sub.Close()
}

func TestStream_SlowConsumerLosesNothing(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(7), func(t *testing.T, g gateway) {
		alone := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
		defer alone.close()
		among := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s", "channel:c", "key:k")})
		defer among.close()
		publish(t, g.source, "stream:s", numbers(1, 3)...)
		alone.awaitData("3")
		publish(t, g.source, "stream:s", numbers(4, 2000)...)
		publish(t, g.source, "channel:c", "x")
		for _, s := range []*testClient{alone, among} {
			s.awaitData("2000")
		}
		alone.check("alone", numbers(1, 2000), nil)
		var ofStream []string
		for _, b := range among.got {
			if b.origin() == "stream:s" {
				ofStream = append(ofStream, b.data)
			}
		}
		if !slices.Equal(ofStream, numbers(1, 2000)) || len(among.gaps()) > 0 {
			t.Errorf("among others: got %d entries, gaps %q", len(ofStream), among.gaps())
		}
	})
}

func TestKey_ResumeSendsChangedValue(t *testing.T) {
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
				keep := other.subscribe(t, hub.Request{Topics: topics(t, "key:"+name)})
				defer keep.close()
				s := one.subscribe(t, hub.Request{Topics: topics(t, "key:"+name)})
				s.awaitData("1")
				s.close()
				if tt.do != nil {
					command := slices.Clone(tt.do)
					command[slices.Index(command, any("k"))] = name
					server.Do(command...)
				}
				if tt.want != nil {
					keep.awaitData(tt.want[0])
				}
				for _, cursor := range []string{s.lastID(), s.got[0].id} {
					back := other.subscribe(t, hub.Request{Topics: topics(t, "key:"+name), IDs: []string{cursor}})
					back.read()
					back.check("the client", tt.want, nil)
					back.checkResumed("the client", true)
					if tt.want != nil && tt.want[0] == "null" && back.got[0].name != event.KeyDeleted {
						t.Errorf("got %v, want a deletion", back.got[0])
					}
					back.close()
				}
				opened := other.subscribe(t, hub.Request{Topics: topics(t, "key:"+name), IDs: []string{s.openID}})
				defer opened.close()
				opened.read()
				if n := len(opened.data()); n > 1 || n == 0 && tt.want != nil || !opened.opened.Resumed {
					t.Errorf("client that saw only stream.open: got %q, resumed %v", opened.data(), opened.opened.Resumed)
				}
			})
		}
	}
}

func TestKey_AbsentKeyIsSentOnce(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(10), func(t *testing.T, g gateway) {
		s := g.subscribe(t, hub.Request{Topics: topics(t, "key:k")})
		s.read()
		s.check("the fresh client", []string{"null"}, nil)
		s.close()
		back := g.subscribe(t, hub.Request{Topics: topics(t, "key:k"), IDs: []string{s.lastID()}})
		defer back.close()
		back.read()
		back.check("the one that came back", nil, nil)
		back.checkResumed("the one that came back", true)
	})
}

func TestKeyGlob_ResumeOnSameNodeSendsChanges(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(5))
	for i := range 200 {
		server.Do("SET", fmt.Sprint("g:", i), fmt.Sprint("v", i))
	}
	s := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
	s.read()
	if len(s.data()) != 200 || len(s.gaps()) > 0 {
		t.Fatalf("got a snapshot of %d keys, gaps %q", len(s.data()), s.gaps())
	}
	middle := s.got[99].id
	s.close()
	keep := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
	defer keep.close()
	server.Do("SET", "g:1", "changed")
	server.Do("DEL", "g:2")
	server.Do("SET", "g:3", "v3")
	server.Do("SET", "g:new", "created")
	server.Do("EVAL", "redis.call('SET', 'g:brief', 'x') redis.call('DEL', 'g:brief')", 0)
	server.Do("SET", "g:last", "last")
	keep.awaitData("last")
	back := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*"), IDs: []string{s.lastID()}})
	defer back.close()
	back.read()
	want := []string{"key:g:1 changed", "key:g:2 null", "key:g:last last", "key:g:new created"}
	var got []string
	for _, b := range back.got {
		got = append(got, b.origin()+" "+b.data)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || !back.opened.Resumed {
		t.Errorf("got %q, want %q; resumed %v", got, want, back.opened.Resumed)
	}
	// A client in the middle of a snapshot has no position. It gets all events that it misses, and
	// may get events again.
	half := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*"), IDs: []string{middle}})
	defer half.close()
	half.read()
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
			t.Errorf("client with half of the snapshot: got %q for %s", values[name], name)
		}
	}
	if slices.ContainsFunc(s.got[:100], func(b frame) bool { return b.origin() == "key:g:2" }) && values["key:g:2"] != "null" {
		t.Errorf("client that had g:2: got no deletion of it: %q", values["key:g:2"])
	}
}

func TestKeyGlob_ResumeOnOtherNodeSendsAllValues(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := redisGateway(t, server, history(5)), redisGateway(t, server, history(5))
	for i := range 100 {
		server.Do("SET", fmt.Sprint("g:", i), "x")
	}
	s := one.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
	s.read()
	s.close()
	keep := other.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
	defer keep.close()
	keep.read()
	server.Do("DEL", "g:7")
	for i := 20; i < 40; i++ { // so this node has counted further
		server.Do("SET", fmt.Sprint("g:", i), "y")
	}
	keep.await("the changes", func() bool { return len(keep.data()) == 121 })
	back := other.subscribe(t, hub.Request{Topics: topics(t, "key:g:*"), IDs: []string{s.lastID()}})
	defer back.close()
	back.read()
	if len(back.data()) != 99 || !slices.Equal(back.gaps(), []string{"key:g:* unknown-cursor null"}) || !back.got[0].isGap() || back.opened.Resumed {
		t.Errorf("got %d values, gaps %q, resumed %v", len(back.data()), back.gaps(), back.opened.Resumed)
	}
	again := other.subscribe(t, hub.Request{Topics: topics(t, "key:g:*"), IDs: []string{back.lastID()}})
	defer again.close()
	again.read()
	again.check("back once more", nil, nil)
	again.checkResumed("back once more", true)
	// The gap's id is a position before the values that have not been sent yet.
	gap := other.subscribe(t, hub.Request{Topics: topics(t, "key:g:*"), IDs: []string{back.got[0].id}})
	defer gap.close()
	gap.read()
	if len(gap.data()) != 99 {
		t.Errorf("after a reconnect with the id of the gap: got %d values", len(gap.data()))
	}
}

// The value of this node may be older than the client's, and the node cannot know it.
func TestKey_ResumeSendsNoOlderValue(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := redisGateway(t, server, history(10)), redisGateway(t, server, history(10))
	publish(t, one.source, "key:k", "1")
	keep := other.subscribe(t, hub.Request{Topics: topics(t, "key:k")})
	defer keep.close()
	s := one.subscribe(t, hub.Request{Topics: topics(t, "key:k")})
	defer s.close()
	publish(t, one.source, "key:k", "2")
	s.awaitData("2")
	back := hub.Request{Topics: topics(t, "key:k"), IDs: []string{s.lastID()}}
	keep.awaitData("2")
	publish(t, one.source, "key:k", "3")
	keep.awaitData("3")
	server.Pause()
	if _, err := other.trySubscribe(t, back); !errors.Is(err, source.ErrUnavailable) {
		t.Errorf("with another value: %v", err)
	}
	server.Continue()
	again := other.subscribe(t, back)
	defer again.close()
	again.awaitData("3")
}

// The key has its own time limit, however long the channel needs.
func TestMixed_KeyCatchesUpDespiteChannel(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	one := redisGateway(t, server, history(10))
	other := newGateway(t, sourceAt(t, "redis://"+proxy.Addr(), history(10)), history(10))
	list := topics(t, "channel:a", "channel:b", "channel:c", "channel:d", "key:k")
	publish(t, one.source, "key:k", "1")
	keep := other.subscribe(t, hub.Request{Topics: list})
	defer keep.close()
	s := one.subscribe(t, hub.Request{Topics: list})
	defer s.close()
	keep.awaitData("1")
	one.settle(t) // so both nodes know the markers in cursors of channels
	other.settle(t)
	one.settle(t)
	proxy.DropSubscribed()
	publish(t, one.source, "key:k", "2")
	s.awaitData("2")
	publish(t, one.source, "channel:c", "m")
	s.awaitData("m")
	back := other.subscribeLagging(t, hub.Request{Topics: list, IDs: []string{s.lastID()}})
	defer back.close()
	back.await("the gap of the channel", func() bool { return len(back.gaps()) > 0 })
	back.read()
	if got := back.data(); slices.Contains(got, "1") {
		t.Errorf("client with value 2: got %q", got)
	}
}

// Values that are older than those of the client must not be sent to it.
func TestKeyGlob_LaggingNodeCatchesUpFirst(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := redisGateway(t, server, history(10)), redisGateway(t, server, history(10))
	s := one.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
	s.close()
	keep := other.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
	defer keep.close()
	for n := range 50 {
		// One script changes so many keys that the reader needs some time.
		server.Do("EVAL", "for i = 1, 200 do redis.call('SET', 'g:' .. i, ARGV[1]) end", 0, n)
		back := other.subscribe(t, hub.Request{Topics: topics(t, "key:g:*"), IDs: []string{s.openID}})
		back.read()
		back.check(fmt.Sprint("round ", n), slices.Repeat([]string{fmt.Sprint(n)}, 200), []string{"key:g:* unknown-cursor null"})
		back.close()
	}
}

func TestKey_SlowConsumerGetsLastValue(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(5), func(t *testing.T, g gateway) {
		for i := range 20 {
			publish(t, g.source, fmt.Sprint("key:g:", i), "before")
		}
		keep := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
		defer keep.close()
		literal := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:7")})
		defer literal.close()
		glob := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*")})
		defer glob.close()
		among := g.subscribe(t, hub.Request{Topics: topics(t, "key:g:*", "key:g:7", "channel:c")})
		defer among.close()
		for round := range 30 {
			for i := range 20 {
				publish(t, g.source, fmt.Sprint("key:g:", i), fmt.Sprint("g:", i, "=", round))
			}
		}
		for i := range 20 {
			keep.awaitData(fmt.Sprint("g:", i, "=29"))
		}
		for who, s := range map[string]*testClient{"literal": literal, "glob": glob, "among others": among} {
			s.awaitData("g:7=29")
			s.read()
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
					t.Errorf("%s: key %s: got last value %q", who, name, v)
				}
			}
			if len(s.gaps()) > 0 {
				t.Errorf("%s: got gaps %q", who, s.gaps())
			}
			if who != "literal" && len(values) != 20 {
				t.Errorf("%s: got %d keys", who, len(values))
			}
		}
	})
}
