package journal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// makeFrames makes frames of texts such as "a1": the topic and a number, which is also the cursor
// after the frame. "gap5" is a gap with number 5.
func makeFrames(texts ...string) []Frame {
	var out []Frame
	for _, text := range texts {
		digits := strings.IndexAny(text, "0123456789")
		f := Frame{Qualifier: text[:digits] + "@", Cursor: []byte(text[digits:]), Body: []byte(text + "\n")}
		if strings.HasPrefix(text, "gap") {
			f.Lost = -1
		}
		out = append(out, f)
	}
	return out
}

func TestConflation_DeliversNewestOfEachTopic(t *testing.T) {
	t.Parallel()
	const every = time.Second
	type step struct {
		after  time.Duration // since the previous step
		frames []string
		want   string
		due    time.Duration // time until the next event is due; negative if no event is due
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"the first event is sent immediately", []step{{0, []string{"a1"}, "a1:1", -1}}},
		{"then the newest in each interval", []step{
			{0, []string{"a1"}, "a1:1", -1},
			{100 * time.Millisecond, []string{"a2"}, "", 900 * time.Millisecond},
			{100 * time.Millisecond, []string{"a3", "a4"}, "", 800 * time.Millisecond},
			{799 * time.Millisecond, nil, "", time.Millisecond},
			{time.Millisecond, nil, "a4:4", -1},
			{500 * time.Millisecond, []string{"a5"}, "", 500 * time.Millisecond},
			{500 * time.Millisecond, []string{"a6"}, "a6:6", -1},
		}},
		{"after a pause immediately again", []step{
			{0, []string{"a1"}, "a1:1", -1},
			{time.Second, nil, "", -1},
			{time.Hour, []string{"a2"}, "a2:2", -1},
		}},
		{"topics are independent", []step{
			{0, []string{"a1"}, "a1:1", -1},
			{500 * time.Millisecond, []string{"b2", "a3"}, "b2:2", 500 * time.Millisecond},
			{500 * time.Millisecond, []string{"b4"}, "a3:3", 500 * time.Millisecond},
			{500 * time.Millisecond, nil, "b4:4", -1},
		}},
		{"a cursor does not pass a held event", []step{
			{0, []string{"a1"}, "a1:1", -1},
			{100 * time.Millisecond, []string{"a2", "b3", "c4"}, "b3:1 c4:1", 900 * time.Millisecond},
			{900 * time.Millisecond, nil, "a2:4", -1},
		}},
		{"events are sent in the order in which they are due", []step{
			{0, []string{"a1"}, "a1:1", -1},
			{300 * time.Millisecond, []string{"b2"}, "b2:2", -1},
			{100 * time.Millisecond, []string{"b3", "a4"}, "", 600 * time.Millisecond},
			{600 * time.Millisecond, nil, "a4:2", 300 * time.Millisecond},
			{300 * time.Millisecond, nil, "b3:4", -1},
		}},
		{"a gap is sent immediately, after all earlier events", []step{
			{0, []string{"a1", "b2"}, "a1:1 b2:2", -1},
			{100 * time.Millisecond, []string{"a3", "b4", "gap5", "a6", "c7"}, "a3:3 b4:4 gap5:5 c7:5", time.Second},
			{time.Second, nil, "a6:7", -1},
		}},
		{"a batch has one time", []step{{0, []string{"a1", "a2", "b3", "a4"}, "b3:3 a4:4", -1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := New(Limits{Events: 100, Bytes: 1 << 20}, "0")
				r := NewReader(log, every, false, nil)
				defer r.Close()
				for i, s := range tt.steps {
					time.Sleep(s.after)
					for _, f := range makeFrames(s.frames...) {
						log.Append(f)
					}
					if got := strings.Join(delivered(t, &r), " "); got != s.want {
						t.Errorf("step %d delivers %q, want %q", i, got, s.want)
					}
					due := r.Due()
					if s.due < 0 && !due.IsZero() || s.due >= 0 && !due.Equal(time.Now().Add(s.due)) {
						t.Errorf("after step %d: got next event due in %s, want %s", i, time.Until(due), s.due)
					}
				}
			})
		})
	}
}

// delivered returns the available events of a reader as "a1:0": the body and the cursor of the id.
func delivered(tb testing.TB, r *Reader) (out []string) {
	tb.Helper()
	for {
		b, ok := r.Next()
		if !ok {
			tb.Fatal("the reader fell behind")
		}
		out = append(out, parsed(b)...)
		if b.AtHead {
			return out
		}
	}
}

// parsed returns the frames of makeFrames in a batch.
func parsed(b Batch) (out []string) {
	text := string(b.Bytes)
	for text != "" {
		var id, body string
		id, text, _ = strings.Cut(text, "\n")
		body, text, _ = strings.Cut(text, "\n")
		_, cursor, _ := strings.Cut(id, "@")
		out = append(out, body+":"+cursor)
	}
	return out
}

// A held event is delivered although the journal has evicted it. Its copy is released when a newer
// event replaces it.
func TestReader_HeldEventOutlivesJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := New(Limits{Events: 4, Bytes: 1 << 20}, "0")
		r := NewReader(log, time.Second, false, nil)
		defer r.Close()
		n := 0
		add := func(topic string) {
			n++
			log.Append(makeFrames(fmt.Sprint(topic, n))[0])
		}
		add("a")
		add("a")
		delivered(t, &r)
		add("a")
		for range 10 {
			delivered(t, &r)
			add("b")
		}
		if log.latest.kept.Len() != 1 {
			t.Errorf("got %d kept events, want 1", log.latest.kept.Len())
		}
		delivered(t, &r)
		time.Sleep(time.Second)
		if got := strings.Join(delivered(t, &r), " "); !strings.HasPrefix(got, "a3:") {
			t.Errorf("got %q, want the held a3", got)
		}
		add("a")
		if log.latest.kept.Len() != 0 || log.latest.bytes != 0 {
			t.Errorf("got %d kept events of %d bytes after a newer event, want 0", log.latest.kept.Len(), log.latest.bytes)
		}
	})
}

func TestReader_LostHeldEventIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := New(Limits{Events: 4, Bytes: 1 << 20}, "0")
		log.latest.limit = 2 * (latestOverhead + len("t0@\n") + 2)
		r := NewReader(log, time.Second, false, nil)
		defer r.Close()
		n := 0
		round := func() {
			for topic := range 10 {
				n++
				log.Append(Frame{Qualifier: fmt.Sprintf("t%d@", topic), Cursor: strconv.AppendInt(nil, int64(n), 10), Body: []byte("x\n")})
				delivered(t, &r)
			}
		}
		round()
		round()
		if log.latest.bytes > log.latest.limit {
			t.Errorf("got %d kept bytes, want at most %d", log.latest.bytes, log.latest.limit)
		}
		time.Sleep(time.Second)
		b, ok := r.Next()
		if !ok || b.Frames != 6 || b.AtHead {
			t.Fatalf("got %d events, want 4 from the journal and 2 kept ones", b.Frames)
		}
		if ids := parsed(b); !strings.HasSuffix(ids[5], ":10") {
			t.Errorf("the ids %q pass lost events", ids)
		}
		if _, ok := r.Next(); ok || !r.Behind() {
			t.Error("the lost events are not reported")
		}
		if lost, cursor := r.Lost(); len(lost) != 4 || string(cursor) != "20" {
			t.Errorf("got lost events %q before cursor %s", lost, cursor)
		}
		if b, ok := r.Next(); !ok || len(b.Bytes) > 0 {
			t.Errorf("got %q after the gap", b.Bytes)
		}
	})
}

// One call reads and delivers a bounded number of events, so a wide glob does not block a shard.
func TestReader_ConflatedReadIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const topics = 10 * maxFrames
		log := New(Limits{Events: topics, Bytes: 1 << 20}, "0")
		r := NewReader(log, time.Second, false, nil)
		defer r.Close()
		fill := func() {
			for n := range topics {
				log.Append(makeFrames(fmt.Sprintf("t%s1", strings.Repeat("x", n/100)+string(rune('A'+n%100))))[0])
			}
		}
		for range 2 {
			fill()
			total := 0
			for turns, more := 0, true; more; turns++ {
				before := r.Pos()
				b, ok := r.Next()
				if !ok {
					t.Fatal("it fell behind")
				}
				if b.Frames > maxFrames || r.Pos()-before > maxFrames {
					t.Fatalf("one call read %d events and delivered %d", r.Pos()-before, b.Frames)
				}
				total += b.Frames
				more = !b.AtHead
			}
			if total != topics {
				t.Errorf("got %d events, want %d", total, topics)
			}
			time.Sleep(time.Second)
		}
	})
}

// Conflated readers of one topic get each gap, even if events follow it while they read.
func TestReader_ConflatedReadersMissNoGap(t *testing.T) {
	t.Parallel()
	const readers, gaps = 8, 2000
	log := New(Limits{Events: 1 << 20, Bytes: 1 << 30}, "0")
	var running sync.WaitGroup
	for range readers {
		r := NewReader(log, time.Nanosecond, true, nil)
		running.Go(func() {
			seen := 0
			for r.Pos() <= 2*gaps {
				b, _ := r.Next()
				seen += strings.Count(string(b.Bytes), "\ngap")
			}
			if seen != gaps {
				t.Errorf("got %d gaps, want %d", seen, gaps)
			}
		})
	}
	f := makeFrames("gap1", "a2")
	for range gaps {
		log.Append(f[0])
		log.Append(f[1])
	}
	running.Wait()
}

// The cost of an event does not depend on the number of held events: no allocation, and one body
// for all readers.
func TestBudget_HoldingEventAllocatesNothing(t *testing.T) {
	const topics = 5000
	log := New(Limits{Events: 4096, Bytes: 4 << 20}, "0")
	r := NewReader(log, time.Hour, false, nil)
	defer r.Close()
	frames := make([]Frame, topics)
	for n := range frames {
		frames[n] = Frame{Qualifier: fmt.Sprintf("t%d@", n), Cursor: []byte("1"), Body: []byte("x\n")}
	}
	for range 3 {
		for _, f := range frames {
			log.Append(f)
			delivered(t, &r)
		}
	}
	if r.conflation.held != topics {
		t.Fatalf("got %d held events", r.conflation.held)
	}
	now, n := time.Now(), 0
	if allocs := testing.AllocsPerRun(100, func() {
		r.conflation.hold(heldEvent{qualifier: frames[n].Qualifier, pos: log.head - 1}, now)
		r.conflation.due(now, maxFrames)
		n++
	}); allocs > 0 {
		t.Errorf("got %v allocations to hold an event, want 0", allocs)
	}
}

// A client disconnects after any frame and reconnects with its id. It must have or receive the
// newest event of every topic. A topic must not deliver twice in an interval or hold an event for
// longer than it.
func TestConflation_ReconnectGetsNewestValue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testReconnects)
}

func testReconnects(t *testing.T) {
	const every = 100 * time.Millisecond
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		topics := []string{"a", "b", "c", "d", "e"}[:1+rnd.IntN(5)]
		log := New(Limits{Events: 20, Bytes: 1 << 20}, "0")
		r := NewReader(log, every, false, nil)
		now := time.Now()
		number := 0
		newest := make(map[string]int)     // number of the newest event of each topic
		has := make(map[string]int)        // number of the last sent event
		sent := make(map[string]time.Time) // time of the last sent event
		since := make(map[string]time.Time)
		lastGap := 0
		for step := range 200 {
			now = now.Add(time.Duration(rnd.IntN(60)) * time.Millisecond)
			if due := r.Due(); !due.IsZero() && rnd.IntN(2) == 0 && now.Before(due) {
				now = due
			}
			time.Sleep(time.Until(now))
			var texts []string
			for range rnd.IntN(6) {
				number++
				if rnd.IntN(25) == 0 {
					texts = append(texts, fmt.Sprint("gap", number))
					continue
				}
				topic := topics[rnd.IntN(len(topics))]
				texts = append(texts, fmt.Sprint(topic, number))
				newest[topic] = number
				if _, held := since[topic]; !held {
					since[topic] = now
				}
			}
			forced := slices.ContainsFunc(texts, func(s string) bool { return strings.HasPrefix(s, "gap") })
			for _, f := range makeFrames(texts...) {
				log.Append(f)
			}
			for _, text := range delivered(t, &r) {
				body, id, _ := strings.Cut(text, ":")
				topic := strings.TrimRight(body, "0123456789")
				cursor, err := strconv.Atoi(id)
				if err != nil {
					t.Fatal(err)
				}
				n, _ := strconv.Atoi(strings.TrimPrefix(body, topic))
				if topic == "gap" {
					lastGap = n
				} else {
					if at, ok := sent[topic]; ok && now.Sub(at) < every && !forced {
						t.Fatalf("seed %d, step %d: %s was sent %s after the last one", seed, step, topic, now.Sub(at))
					}
					sent[topic], has[topic] = now, max(has[topic], n)
					delete(since, topic)
				}
				if cursor < lastGap {
					t.Fatalf("seed %d, step %d: cursor %d is before the gap %d", seed, step, cursor, lastGap)
				}
				for other := range newest {
					if newest[other] <= cursor && has[other] < newest[other] {
						t.Fatalf("seed %d, step %d: after cursor %d of %s, the client never gets %s%d", seed, step, cursor, body, other, newest[other])
					}
				}
			}
			for topic, at := range since {
				if newest[topic] > has[topic] && now.Sub(at) > every && r.Due().After(now) {
					t.Fatalf("seed %d, step %d: %s has been held for %s", seed, step, topic, now.Sub(at))
				}
				if newest[topic] == has[topic] {
					delete(since, topic)
				}
			}
		}
		if len(r.conflation.topics) > len(topics) {
			t.Fatalf("got %d topics in the conflation", len(r.conflation.topics))
		}
		time.Sleep(every)
		for _, text := range delivered(t, &r) {
			body, _, _ := strings.Cut(text, ":")
			topic := strings.TrimRight(body, "0123456789")
			has[topic], _ = strconv.Atoi(strings.TrimPrefix(body, topic))
		}
		for topic, n := range newest {
			if has[topic] != n {
				t.Fatalf("seed %d: %s: got last event %d, want %d", seed, topic, has[topic], n)
			}
		}
		if !r.Due().IsZero() || r.conflation.held > 0 {
			t.Fatalf("seed %d: an event is still held", seed)
		}
	}
}
