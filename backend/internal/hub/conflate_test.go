package hub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// framesOf makes frames of texts such as "a1": the topic, and the number which is also the
// cursor behind it. "gap" is a gap with the number behind it, as in "gap5".
func framesOf(texts ...string) []journal.Frame {
	var out []journal.Frame
	for _, text := range texts {
		digits := strings.IndexAny(text, "0123456789")
		f := journal.Frame{Qualifier: text[:digits] + "@", Cursor: []byte(text[digits:]), Body: []byte(text)}
		if strings.HasPrefix(text, "gap") {
			f.Lost = event.LostUnknown
		}
		out = append(out, f)
	}
	return out
}

// shown writes frames as "a1:0": the body and the cursor.
func shown(frames []journal.Frame) string {
	var out []string
	for _, f := range frames {
		out = append(out, string(f.Body)+":"+string(f.Cursor))
	}
	return strings.Join(out, " ")
}

func TestConflation_LetsTheNewestOfEachTopicThrough(t *testing.T) {
	t.Parallel()
	const every = time.Second
	type step struct {
		after  time.Duration // since the step before
		frames []string
		want   string
		due    time.Duration // from then on; negative for never
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"the first goes out at once", []step{{0, []string{"a1"}, "a1:1", -1}}},
		{"then one in each interval, the newest", []step{
			{0, []string{"a1"}, "a1:1", -1},
			{100 * time.Millisecond, []string{"a2"}, "", 900 * time.Millisecond},
			{100 * time.Millisecond, []string{"a3", "a4"}, "", 800 * time.Millisecond},
			{799 * time.Millisecond, nil, "", time.Millisecond},
			{time.Millisecond, nil, "a4:4", -1},
			{500 * time.Millisecond, []string{"a5"}, "", 500 * time.Millisecond},
			{500 * time.Millisecond, []string{"a6"}, "a6:6", -1},
		}},
		{"after a pause at once again", []step{
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
		{"a cursor does not pass what is held", []step{
			{0, []string{"a1"}, "a1:1", -1},
			{100 * time.Millisecond, []string{"a2", "b3", "c4"}, "b3:1 c4:1", 900 * time.Millisecond},
			{900 * time.Millisecond, nil, "a2:4", -1},
		}},
		{"the first that is due is the next", []step{
			{0, []string{"a1"}, "a1:1", -1},
			{300 * time.Millisecond, []string{"b2"}, "b2:2", -1},
			{100 * time.Millisecond, []string{"b3", "a4"}, "", 600 * time.Millisecond},
			{600 * time.Millisecond, nil, "a4:2", 300 * time.Millisecond},
			{300 * time.Millisecond, nil, "b3:4", -1},
		}},
		{"a gap passes at once, behind all that came before it", []step{
			{0, []string{"a1", "b2"}, "a1:1 b2:2", -1},
			{100 * time.Millisecond, []string{"a3", "b4", "gap5", "a6", "c7"}, "a3:3 b4:4 gap5:5 c7:5", time.Second},
			{time.Second, nil, "a6:7", -1},
		}},
		{"one batch counts as one moment", []step{{0, []string{"a1", "a2", "b3", "a4"}, "b3:3 a4:4", -1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newConflation(every)
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			cursor := []byte("0")
			for i, s := range tt.steps {
				now = now.Add(s.after)
				frames := framesOf(s.frames...)
				if got := shown(c.take(cursor, frames, now)); got != s.want {
					t.Errorf("step %d lets %q through, want %q", i, got, s.want)
				}
				if n := len(frames); n > 0 {
					cursor = frames[n-1].Cursor
				}
				due := c.due()
				if s.due < 0 && !due.IsZero() || s.due >= 0 && !due.Equal(now.Add(s.due)) {
					t.Errorf("after step %d something is due %s from then, want %s", i, due.Sub(now), s.due)
				}
			}
		})
	}
}

func TestConflation_KeepsItsOwnCopyOfWhatItHolds(t *testing.T) {
	t.Parallel()
	c := newConflation(time.Second)
	now := time.Now()
	c.take([]byte("0"), framesOf("a1"), now)
	frames := framesOf("a2")
	c.take([]byte("1"), frames, now)
	copy(frames[0].Body, "xx")
	copy(frames[0].Cursor, "9")
	if got := shown(c.take([]byte("2"), nil, now.Add(time.Second))); got != "a2:2" {
		t.Errorf("what was held became %q", got)
	}
}

// Whatever comes and whenever: a client that loses its line behind any frame, and comes
// back with its id, has or gets the newest event of every topic. And no topic sends more
// than once in an interval, nor keeps anything longer than that.
func TestConflation_ClientThatLeavesAnywhereLosesNoNewestValue(t *testing.T) {
	t.Parallel()
	const every = 100 * time.Millisecond
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		topics := []string{"a", "b", "c", "d", "e"}[:1+rnd.IntN(5)]
		c := newConflation(every)
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		number := 0
		newest := make(map[string]int)     // number of the newest that came of each topic
		has := make(map[string]int)        // and of the newest that went out
		sent := make(map[string]time.Time) // and when
		since := make(map[string]time.Time)
		lastGap := 0
		for step := range 200 {
			now = now.Add(time.Duration(rnd.IntN(60)) * time.Millisecond)
			if due := c.due(); !due.IsZero() && rnd.IntN(2) == 0 && now.Before(due) {
				now = due
			}
			before := []byte(strconv.Itoa(number))
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
			for _, f := range c.take(before, framesOf(texts...), now) {
				topic := strings.TrimSuffix(f.Qualifier, "@")
				cursor, err := strconv.Atoi(string(f.Cursor))
				if err != nil {
					t.Fatal(err)
				}
				body := strings.TrimPrefix(string(f.Body), topic)
				n, _ := strconv.Atoi(body)
				if topic == "gap" {
					lastGap = n
				} else {
					if at, ok := sent[topic]; ok && now.Sub(at) < every && !forced {
						t.Fatalf("seed %d, step %d: %s comes %s after the last one", seed, step, topic, now.Sub(at))
					}
					sent[topic], has[topic] = now, max(has[topic], n)
					delete(since, topic)
				}
				if cursor < lastGap {
					t.Fatalf("seed %d, step %d: the cursor %d leads back behind the gap %d", seed, step, cursor, lastGap)
				}
				for other := range newest {
					if newest[other] <= cursor && has[other] < newest[other] {
						t.Fatalf("seed %d, step %d: behind the cursor %d of %s, the client never gets %s%d", seed, step, cursor, f.Body, other, newest[other])
					}
				}
			}
			for topic, at := range since {
				if newest[topic] > has[topic] && now.Sub(at) > every && c.due().After(now) {
					t.Fatalf("seed %d, step %d: %s is held since %s", seed, step, topic, now.Sub(at))
				}
				if newest[topic] == has[topic] {
					delete(since, topic)
				}
			}
		}
		if len(c.sent) > len(topics) {
			t.Fatalf("it remembers %d topics", len(c.sent))
		}
		for _, f := range c.take([]byte(strconv.Itoa(number)), nil, now.Add(every)) {
			topic := strings.TrimSuffix(f.Qualifier, "@")
			has[topic], _ = strconv.Atoi(strings.TrimPrefix(string(f.Body), topic))
		}
		for topic, n := range newest {
			if has[topic] != n {
				t.Fatalf("seed %d: %s ends on %d, and the newest is %d", seed, topic, has[topic], n)
			}
		}
		if !c.due().IsZero() || len(c.held) > 0 {
			t.Fatalf("seed %d: something is still held", seed)
		}
	}
}

type silent struct{}

func (silent) EventReceived(event.Kind)     {}
func (silent) GapAnnounced(event.GapReason) {}
func (silent) ReplayRead()                  {}

// everyHub returns a hub over an embedded broker, for a test in a bubble of time.
func everyHub(t *testing.T, events int) (*Hub, func(topic, data string)) {
	t.Helper()
	limits := journal.Limits{Events: events, Bytes: 1 << 30}
	src := source.NewMemory(source.Fill{Events: events, Bytes: 1 << 30})
	h := New(src, Options{Node: "n", History: limits, Linger: time.Hour}, silent{})
	t.Cleanup(h.Close)
	return h, func(topic, data string) {
		t.Helper()
		if _, err := src.Publish(context.Background(), topicNamed(t, topic), source.Message{Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
}

func topicNamed(t *testing.T, text string) event.Topic {
	t.Helper()
	topic, err := event.ParseTopic(text)
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

// received are the data lines and the ids that a subscription gives out now.
func received(t *testing.T, s *Subscription) (data []string, id string) {
	t.Helper()
	for {
		b, err := s.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Bytes) == 0 {
			return data, id
		}
		for line := range strings.Lines(string(b.Bytes)) {
			line = strings.TrimSuffix(line, "\n")
			if v, ok := strings.CutPrefix(line, "data: "); ok && !strings.HasPrefix(v, `{"topics"`) {
				data = append(data, v)
			}
			if v, ok := strings.CutPrefix(line, "id: "); ok {
				id = v
			}
		}
	}
}

func subscribeEvery(t *testing.T, h *Hub, every time.Duration, cursor string, topics ...string) *Subscription {
	t.Helper()
	var list []event.Topic
	for _, topic := range topics {
		list = append(list, topicNamed(t, topic))
	}
	s, err := h.Subscribe(context.Background(), Request{Topics: list, IDs: []string{cursor}, Every: every})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEvery_KeysAndChannelsOfAGlobCountEachForItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, publish := everyHub(t, 1000)
		s := subscribeEvery(t, h, time.Second, "", "channel:p.*", "key:k:*", "stream:s")
		defer s.Close()
		round := func(n int) {
			for _, topic := range []string{"channel:p.a", "channel:p.b", "key:k:1", "key:k:2", "stream:s"} {
				publish(topic, fmt.Sprint(topic, "=", n))
			}
		}
		expect := func(n int) {
			t.Helper()
			data, _ := received(t, s)
			want := []string{fmt.Sprint("channel:p.a=", n), fmt.Sprint("channel:p.b=", n), fmt.Sprint("key:k:1=", n), fmt.Sprint("key:k:2=", n), fmt.Sprint("stream:s=", n)}
			slices.Sort(data)
			if !slices.Equal(data, want) {
				t.Errorf("it gets %q, want %q", data, want)
			}
		}
		round(1)
		expect(1)
		for n := 2; n <= 9; n++ {
			round(n)
			time.Sleep(100 * time.Millisecond)
			if data, _ := received(t, s); len(data) > 0 {
				t.Errorf("in the interval comes %q", data)
			}
		}
		if due := s.Due(); !due.Equal(time.Now().Add(200 * time.Millisecond)) {
			t.Errorf("something is due in %s", time.Until(due))
		}
		time.Sleep(200 * time.Millisecond)
		expect(9)
		if due := s.Due(); !due.IsZero() {
			t.Errorf("nothing is held, and something is due in %s", time.Until(due))
		}
		time.Sleep(time.Hour)
		if data, _ := received(t, s); len(data) > 0 {
			t.Errorf("later comes %q", data)
		}
	})
}

func TestEvery_ClientThatComesBackGetsWhatWasHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, publish := everyHub(t, 1000)
		topics := []string{"channel:a", "channel:b", "stream:s"}
		s := subscribeEvery(t, h, time.Second, "", topics...)
		publish("channel:a", "a1")
		received(t, s)
		time.Sleep(100 * time.Millisecond)
		publish("channel:a", "a2") // held
		publish("channel:b", "b1") // goes out
		data, id := received(t, s)
		if !slices.Equal(data, []string{"b1"}) {
			t.Fatalf("it gets %q", data)
		}
		s.Close()
		back := subscribeEvery(t, h, time.Second, id, topics...)
		defer back.Close()
		if data, _ := received(t, back); !slices.Contains(data, "a2") {
			t.Errorf("back it gets %q, and a2 was held", data)
		}
	})
}

// The gap of a client that fell behind must not pass what is held for it.
func TestEvery_GapOfASlowClientDoesNotPassWhatIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, publish := everyHub(t, 10)
		topics := []string{"channel:a", "channel:b"}
		s := subscribeEvery(t, h, time.Hour, "", topics...)
		publish("channel:b", "b1")
		publish("channel:a", "first")
		received(t, s)
		publish("channel:b", "b2")
		received(t, s) // holds b2
		for n := range 3000 {
			publish("channel:a", fmt.Sprint("a", n))
		}
		data, id := received(t, s)
		s.Close()
		if !slices.ContainsFunc(data, func(d string) bool { return strings.Contains(d, "slow-consumer") }) {
			t.Fatalf("it was not too slow: %q", data)
		}
		if slices.Contains(data, "b2") {
			return
		}
		back := subscribeEvery(t, h, time.Hour, id, topics...)
		defer back.Close()
		if again, _ := received(t, back); !slices.Contains(again, "b2") {
			t.Errorf("it got %q, and back with the id of the gap %q; b2 was held and is lost", data, again)
		}
	})
}

func TestEvery_GapFromTheSourceComesInItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, publish := everyHub(t, 1000)
		s := subscribeEvery(t, h, time.Hour, "", "channel:a")
		defer s.Close()
		publish("channel:a", "1")
		received(t, s)
		publish("channel:a", "2")
		publish("channel:a", "3")
		h.feeds[topicNamed(t, "channel:a")].Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown})
		publish("channel:a", "4")
		data, _ := received(t, s)
		if len(data) != 2 || data[0] != "3" || !strings.Contains(data[1], "source-interrupted") {
			t.Errorf("it gets %q, want the newest before the gap, and the gap", data)
		}
		time.Sleep(time.Hour)
		if data, _ := received(t, s); !slices.Equal(data, []string{"4"}) {
			t.Errorf("then it gets %q", data)
		}
	})
}
