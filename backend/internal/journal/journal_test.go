package journal_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/journal"
)

var roomy = journal.Limits{Events: 1 << 20, Bytes: 1 << 30}

// frame returns a frame. Its cursor is the position after it if it is appended at number.
func frame(number uint64, body string) journal.Frame {
	return journal.Frame{
		Cursor: strconv.AppendUint(nil, number+1, 10),
		Body:   []byte("data: " + body + "\n\n"),
	}
}

func gap(number uint64, lost int64) journal.Frame {
	f := journal.Frame{Body: []byte("event: stream.gap\ndata: {}\n\n"), Lost: lost}
	f.Cursor = strconv.AppendUint(nil, number+f.Span(), 10)
	return f
}

// newFilled returns a journal with n events. The data of each event is its number.
func newFilled(limits journal.Limits, n int) *journal.Journal {
	j := journal.New(limits, "1")
	appendEvents(j, n)
	return j
}

func appendEvents(j *journal.Journal, n int) {
	for range n {
		head, _ := headOf(j)
		j.Append(frame(head, fmt.Sprint(head)))
	}
}

func wireText(from, to uint64) string {
	var b strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintf(&b, "id: %d\ndata: %d\n\n", n+1, n)
	}
	return b.String()
}

// readAll reads from a position to the head.
func readAll(t testing.TB, j *journal.Journal, from uint64) (text string, next uint64, batches int) {
	t.Helper()
	var b bytes.Buffer
	for {
		batch, ok := j.Read(from)
		if !ok {
			t.Fatalf("position %d is before the tail", from)
		}
		if batch.Next < from {
			t.Fatalf("read from %d: got next position %d", from, batch.Next)
		}
		if batch.Frames == 0 {
			if len(batch.Bytes) > 0 {
				t.Fatalf("got 0 frames with bytes %q", batch.Bytes)
			}
			return b.String(), from, batches
		}
		b.Write(batch.Bytes)
		from = batch.Next
		if string(batch.Cursor) != fmt.Sprint(from) {
			t.Fatalf("position %d: got cursor %q", from, batch.Cursor)
		}
		batches++
	}
}

func checkPosition(t *testing.T, what string, pos uint64, cursor string, want uint64) {
	t.Helper()
	if pos != want || cursor != fmt.Sprint(want) {
		t.Errorf("%s: got %d with cursor %q, want %d", what, pos, cursor, want)
	}
}

func TestJournal_EmptyBeginsAtBase(t *testing.T) {
	t.Parallel()
	j := journal.New(roomy, "1")
	head, cursor := headOf(j)
	checkPosition(t, "head", head, cursor, journal.First)
	tail, cursor := tailOf(j)
	checkPosition(t, "tail", tail, cursor, journal.First)
	back, cursor := backOf(j, 10)
	checkPosition(t, "Back(10)", back, cursor, journal.First)
	if b, ok := j.Read(journal.First); !ok || b.Frames != 0 || b.Next != journal.First {
		t.Errorf("Read: got %+v, %v", b, ok)
	}
	if lost := lostFrom(j, journal.First); lost != 0 {
		t.Errorf("got Lost %d", lost)
	}
	if j.Bytes() != 0 {
		t.Errorf("got Bytes %d", j.Bytes())
	}
}

func TestJournal_IsBoundedByEvents(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2, 10, 100} {
		for _, n := range []int{1, 2, 9, 10, 11, 99, 100, 101, 1000} {
			t.Run(fmt.Sprintf("limit=%d/events=%d", limit, n), func(t *testing.T) {
				t.Parallel()
				j := newFilled(journal.Limits{Events: limit, Bytes: 1 << 30}, n)
				wantTail := uint64(max(n-limit, 0)) + journal.First
				tail, cursor := tailOf(j)
				checkPosition(t, "tail", tail, cursor, wantTail)
				head, cursor := headOf(j)
				checkPosition(t, "head", head, cursor, uint64(n)+journal.First)
				if text, _, _ := readAll(t, j, tail); text != wireText(tail, head) {
					t.Errorf("got content %q", text)
				}
				if _, ok := j.Read(tail - 1); ok {
					t.Error("a position before the tail can be read")
				}
			})
		}
	}
}

func TestJournal_IsBoundedByBytes(t *testing.T) {
	t.Parallel()
	const limit = 10_000
	j := journal.New(journal.Limits{Events: 1 << 20, Bytes: limit}, "1")
	for n := range uint64(500) {
		j.Append(frame(n+1, strings.Repeat("x", int(n*37%900))))
		tail, _ := tailOf(j)
		text, _, _ := readAll(t, j, tail)
		if j.Bytes() > limit || j.Bytes() != len(text) {
			t.Fatalf("after %d events: got Bytes %d, content of %d bytes, limit %d", n+1, j.Bytes(), len(text), limit)
		}
	}
	if tail, _ := tailOf(j); tail == journal.First {
		t.Fatal("no event was evicted: the test needs more events")
	}
}

// Connected clients get time to read a large frame and the frames after it.
func TestJournal_LargeFrameIsHeldForTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newFilled(journal.Limits{Events: 10, Bytes: 1000}, 5)
		large := frame(6, strings.Repeat("x", 1<<20))
		j.Append(large)
		j.Append(frame(7, "7"))
		text, next, _ := readAll(t, j, 6)
		if want := "id: 7\n" + string(large.Body) + wireText(7, 8); text != want || next != 8 {
			t.Errorf("got %d bytes, want %d", len(text), len(want))
		}
		time.Sleep(10 * time.Second)
		j.Append(frame(8, "8"))
		if text, _, _ := readAll(t, j, 7); text != wireText(7, 9) {
			t.Errorf("got %q after the large frame", text)
		}
		if _, ok := j.Read(6); ok {
			t.Error("the large frame is still held")
		}
		if j.Bytes() > 1000 {
			t.Errorf("got %d held bytes", j.Bytes())
		}
	})
}

func TestJournal_NewestFrameIsAlwaysHeld(t *testing.T) {
	t.Parallel()
	j := journal.New(journal.Limits{Events: 1, Bytes: 10}, "1")
	for n := range uint64(3) {
		j.Append(frame(n+1, strings.Repeat("x", 1000)))
	}
	if tail, _ := tailOf(j); tail != 3 {
		t.Errorf("got tail %d, want 3", tail)
	}
}

func TestJournal_ReadsFromAnyPosition(t *testing.T) {
	t.Parallel()
	const events = 500 // several segments
	j := newFilled(roomy, events)
	for from := uint64(journal.First); from <= events+1; from++ {
		text, next, _ := readAll(t, j, from)
		if text != wireText(from, events+1) || next != events+1 {
			t.Fatalf("from %d: got %d bytes up to %d", from, len(text), next)
		}
	}
}

// One wake can report the last frame and the end, so a reader that stops at the head would never
// read the end.
func TestJournal_ReadersReachEnd(t *testing.T) {
	t.Parallel()
	for name, every := range map[string]time.Duration{"every event": 0, "conflated": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newFilled(roomy, 1)
			r := journal.NewReader(j, every, true, nil)
			defer r.Close()
			j.Append(gap(2, -1))
			j.End()
			reads := 0
			for b, ok := r.Next(); ok; b, ok = r.Next() {
				if b.AtHead {
					t.Fatalf("after read %d the reader is at the head of a journal that has ended", reads)
				}
				if reads++; reads > 10 {
					t.Fatal("got no end")
				}
			}
			if reads == 0 || r.Pos() != number(headOf(j)) {
				t.Errorf("got the end at %d after %d reads, want %d", r.Pos(), reads, number(headOf(j)))
			}
		})
	}
}

func TestJournal_WaitingEventsAreOneBatch(t *testing.T) {
	t.Parallel()
	j := newFilled(roomy, 10)
	b, ok := j.Read(3)
	if !ok || b.Frames != 8 || b.Next != 11 || string(b.Bytes) != wireText(3, 11) {
		t.Errorf("Read: got %d frames up to %d: %q", b.Frames, b.Next, b.Bytes)
	}
	const many = 20_000
	j = newFilled(roomy, many)
	_, _, batches := readAll(t, j, journal.First)
	if batches > many/100 {
		t.Errorf("got %d events in %d reads, want 1", many, batches)
	}
}

func TestJournal_BatchBytesAreImmutable(t *testing.T) {
	t.Parallel()
	j := newFilled(journal.Limits{Events: 10, Bytes: 1 << 20}, 10)
	b, _ := j.Read(journal.First)
	appendEvents(j, 1000)
	if string(b.Bytes) != wireText(1, 11) || string(b.Cursor) != "11" {
		t.Errorf("the batch changed to %q with cursor %q", b.Bytes, b.Cursor)
	}
	if cap(b.Bytes) != len(b.Bytes) {
		t.Error("appending to a batch would write into the journal")
	}
}

func TestJournal_AppendCopies(t *testing.T) {
	t.Parallel()
	j := journal.New(roomy, "1")
	f := frame(1, "original")
	j.Append(f)
	copy(f.Body, "xxxxxxxxxxx")
	copy(f.Cursor, "x")
	if text, _, _ := readAll(t, j, 1); text != "id: 2\ndata: original\n\n" {
		t.Errorf("got content %q", text)
	}
}

func TestJournal_QualifierPrecedesCursor(t *testing.T) {
	t.Parallel()
	j := journal.New(roomy, "1")
	f := frame(1, "x")
	f.Qualifier = "channel:a@"
	j.Append(f)
	b, _ := j.Read(1)
	if string(b.Bytes) != "id: channel:a@2\ndata: x\n\n" {
		t.Errorf("got content %q", b.Bytes)
	}
	if string(b.Cursor) != "2" {
		t.Errorf("got cursor %q", b.Cursor)
	}
	frames := between(j, 1, 2)
	if len(frames) != 1 || frames[0].Qualifier != "channel:a@" || string(frames[0].Cursor) != "2" || string(frames[0].Body) != "data: x\n\n" || frames[0].Next != 2 {
		t.Errorf("Between: got %+v", frames)
	}
}

func TestJournal_BackCountsFrames(t *testing.T) {
	t.Parallel()
	j := newFilled(journal.Limits{Events: 1000, Bytes: 1 << 30}, 1500)
	for _, n := range []int{0, 1, 2, 50, 999, 1000} {
		pos, cursor := backOf(j, n)
		checkPosition(t, fmt.Sprintf("Back(%d)", n), pos, cursor, uint64(1501-n))
	}
	for _, n := range []int{1001, 1 << 40} {
		pos, cursor := backOf(j, n)
		checkPosition(t, fmt.Sprintf("Back(%d)", n), pos, cursor, 501)
	}
}

func TestJournal_BackHasReaderCursor(t *testing.T) {
	t.Parallel()
	for held := range 200 {
		j := newFilled(journal.Limits{Events: 64, Bytes: 1 << 20}, held)
		for n := range 70 {
			pos, cursor := backOf(j, n)
			if cursor != fmt.Sprint(pos) {
				t.Fatalf("%d events: Back(%d): got %d with cursor %q", held, n, pos, cursor)
			}
		}
	}
}

func TestJournal_ReaderBeforeTailGetsExactGap(t *testing.T) {
	t.Parallel()
	j := newFilled(journal.Limits{Events: 10, Bytes: 1 << 20}, 100)
	for _, tt := range []struct {
		from uint64
		lost int64
	}{{1, 90}, {2, 89}, {90, 1}, {91, 0}, {95, 0}, {101, 0}} {
		if lost := lostFrom(j, tt.from); lost != tt.lost {
			t.Errorf("from %d: got %d lost, want %d", tt.from, lost, tt.lost)
		}
		if _, ok := j.Read(tt.from); ok != (tt.lost == 0) {
			t.Errorf("from %d: Read: got %v", tt.from, ok)
		}
	}
}

func TestJournal_LostIncludesEvictedGaps(t *testing.T) {
	t.Parallel()
	// 1 2 [gap of 12: 3–14] 15 16 [gap of unknown size: 17] 18 19 …
	build := func(behind int) *journal.Journal {
		j := journal.New(journal.Limits{Events: 5, Bytes: 1 << 20}, "1")
		appendEvents(j, 2)
		j.Append(gap(3, 12))
		appendEvents(j, 2)
		j.Append(gap(17, -1))
		appendEvents(j, behind)
		return j
	}
	for _, tt := range []struct {
		name   string
		behind int
		tail   uint64
		lost   map[uint64]int64
	}{
		{"no gap evicted", 1, 3, map[uint64]int64{1: 2, 2: 1, 3: 0}},
		{"counted gap evicted", 2, 15, map[uint64]int64{1: 14, 2: 13, 3: 12, 15: 0}},
		{"at the unknown one", 4, 17, map[uint64]int64{1: 16, 15: 2, 16: 1, 17: 0}},
		{"unknown gap evicted", 5, 18, map[uint64]int64{1: -1, 15: -1, 16: -1, 17: -1, 18: 0}},
		{"some more evicted", 8, 21, map[uint64]int64{1: -1, 17: -1, 18: 3, 19: 2, 20: 1, 21: 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := build(tt.behind)
			tail, cursor := tailOf(j)
			checkPosition(t, "tail", tail, cursor, tt.tail)
			for from, want := range tt.lost {
				if lost := lostFrom(j, from); lost != want {
					t.Errorf("from %d: got %d lost, want %d", from, lost, want)
				}
			}
		})
	}
}

func TestJournal_BetweenStopsAtBounds(t *testing.T) {
	t.Parallel()
	j := newFilled(roomy, 500)
	for _, tt := range []struct {
		name        string
		from, to    uint64
		first, last uint64 // numbers; 0 for no frame
	}{
		{"all", 1, 501, 1, 500},
		{"some", 10, 20, 10, 19},
		{"across segments", 1, 301, 1, 300},
		{"none", 20, 20, 0, 0},
		{"at the head", 501, 501, 0, 0},
		{"beyond the head", 500, 9999, 500, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			frames := between(j, tt.from, tt.to)
			if tt.first == 0 {
				if len(frames) > 0 {
					t.Errorf("got %d frames", len(frames))
				}
				return
			}
			if len(frames) != int(tt.last-tt.first)+1 {
				t.Fatalf("got %d frames", len(frames))
			}
			for i, f := range frames {
				n := tt.first + uint64(i)
				if f.Next != n+1 || string(f.Cursor) != fmt.Sprint(n+1) || string(f.Body) != fmt.Sprintf("data: %d\n\n", n) {
					t.Fatalf("frame %d: got %+v", n, f)
				}
			}
		})
	}
}

func TestJournal_GapAdvancesByLost(t *testing.T) {
	t.Parallel()
	j := newFilled(roomy, 1)
	if n := j.Append(gap(2, 12)); n != 2 {
		t.Errorf("got gap number %d", n)
	}
	head, cursor := headOf(j)
	checkPosition(t, "head", head, cursor, 14)
	frames := between(j, 1, 100)
	if len(frames) != 2 || frames[1].Lost != 12 || frames[1].Next != 14 {
		t.Errorf("got frames %+v", frames)
	}
	if b, ok := j.Read(14); !ok || b.Frames != 0 {
		t.Errorf("got %+v after the gap", b)
	}
}

type countingWaker struct{ wakes atomic.Int64 }

func (w *countingWaker) Wake() { w.wakes.Add(1) }

func TestJournal_WakesWatchersAfterAppend(t *testing.T) {
	t.Parallel()
	j := journal.New(roomy, "1")
	var a, b countingWaker
	appendEvents(j, 1)
	j.Watch(&a)
	appendEvents(j, 2)
	j.Watch(&b)
	appendEvents(j, 3)
	j.Unwatch(&a)
	appendEvents(j, 4)
	j.Unwatch(&b)
	j.Unwatch(&b)
	appendEvents(j, 5)
	if a.wakes.Load() != 5 || b.wakes.Load() != 7 {
		t.Errorf("got %d and %d wakes, want 5 and 7", a.wakes.Load(), b.wakes.Load())
	}
}

// wakeChannel wakes a goroutine as a connection does.
type wakeChannel chan struct{}

func (c wakeChannel) Wake() {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Every reader must get all numbers in order, except those that Lost counts, while one goroutine
// appends and the journal evicts.
func TestJournal_ConcurrentReaders(t *testing.T) {
	t.Parallel()
	const events, readers = 5_000, 4
	for name, limits := range map[string]journal.Limits{
		"without eviction": roomy,
		"with eviction":    {Events: 32, Bytes: 1 << 20},
		"bounded by bytes": {Events: 1 << 20, Bytes: 4 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := journal.New(limits, "1")
			var running sync.WaitGroup
			for range readers {
				running.Go(func() { readToEnd(t, j, events) })
			}
			for n := range uint64(events) {
				j.Append(frame(n+1, fmt.Sprint(n+1)))
			}
			running.Wait()
		})
	}
}

// readToEnd reads all events except those that Lost counts.
func readToEnd(t *testing.T, j *journal.Journal, events uint64) {
	wake := make(wakeChannel, 1)
	j.Watch(wake)
	defer j.Unwatch(wake)
	pos := uint64(journal.First)
	for pos <= events {
		b, ok := j.Read(pos)
		if !ok {
			lost := lostFrom(j, pos)
			if lost <= 0 {
				t.Errorf("position %d is before the tail, but got %d lost", pos, lost)
				return
			}
			pos += uint64(lost)
			continue
		}
		if b.Frames == 0 {
			<-wake
			continue
		}
		if want := wireText(pos, b.Next); string(b.Bytes) != want || b.Frames != int(b.Next-pos) {
			t.Errorf("from %d: got %q", pos, b.Bytes)
			return
		}
		pos = b.Next
	}
}

func TestJournal_PositionsAreConsistentDuringAppend(t *testing.T) {
	t.Parallel()
	const events = 5000
	j := journal.New(journal.Limits{Events: 50, Bytes: 1 << 20}, "1")
	var running sync.WaitGroup
	for _, position := range []func() (uint64, string){
		func() (uint64, string) { return headOf(j) },
		func() (uint64, string) { return tailOf(j) },
		func() (uint64, string) { return backOf(j, 10) },
		func() (uint64, string) { return backOf(j, 1000) },
	} {
		running.Go(func() {
			for pos := uint64(0); pos < events-1000; {
				next, cursor := position()
				if cursor != fmt.Sprint(next) || next < pos {
					t.Errorf("position %d after %d: got cursor %q", next, pos, cursor)
					return
				}
				pos = next
			}
		})
	}
	appendEvents(j, events)
	running.Wait()
}

func BenchmarkJournal_Append(b *testing.B) {
	for _, watchers := range []int{0, 1, 1000} {
		for _, size := range []int{64, 1024} {
			b.Run(fmt.Sprintf("subs=%d/bytes=%d", watchers, size), func(b *testing.B) {
				j := journal.New(journal.Limits{Events: 4096, Bytes: 4 << 20}, "1")
				for range watchers {
					j.Watch(make(wakeChannel, 1))
				}
				f := frame(1, strings.Repeat("x", size))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					j.Append(f)
				}
			})
		}
	}
}

func BenchmarkJournal_Read(b *testing.B) {
	for _, subs := range []int{1, 1000} {
		for _, events := range []int{1, 10, 1000} {
			b.Run(fmt.Sprintf("subs=%d/events=%d", subs, events), func(b *testing.B) {
				j := newFilled(journal.Limits{Events: 4096, Bytes: 4 << 20}, 4096)
				from, _ := backOf(j, events)
				b.ReportAllocs()
				for b.Loop() {
					for range subs {
						for pos := from; ; {
							batch, _ := j.Read(pos)
							if batch.Frames == 0 {
								break
							}
							pos = batch.Next
						}
					}
				}
			})
		}
	}
}
