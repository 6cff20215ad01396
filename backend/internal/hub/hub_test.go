package hub_test

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/memory"
)

func TestSubscribe_OpenNamesTopics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		topics    []string
		want      []string
		qualified bool
	}{
		{"one", []string{"channel:a"}, []string{"channel:a"}, false},
		{"glob", []string{"channel:a*"}, []string{"channel:a*"}, true},
		{"several in the order of the request", []string{"channel:b", "channel:a", "channel:c*"}, []string{"channel:b", "channel:a", "channel:c*"}, true},
		{"a topic named twice counts once", []string{"channel:a", "channel:a"}, []string{"channel:a"}, false},
		{"also in another spelling", []string{"channel:b", `channel:\a`, "channel:a"}, []string{"channel:b", "channel:a"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, _ := newHub(t, history(10))
			c := subscribe(t, h, hub.Request{Topics: topics(t, tt.topics...)})
			defer c.sub.Close()
			if !slices.Equal(c.opened.Topics, tt.want) || c.opened.Resumed || c.opened.Node != "n1" {
				t.Errorf("got stream.open %+v, want the topics %q", c.opened, tt.want)
			}
			topic, qualified := strings.CutSuffix(c.openID[:strings.Index(c.openID+"@", "@")+min(1, strings.Count(c.openID, "@"))], "@")
			if qualified != tt.qualified || qualified && topic != tt.want[0] {
				t.Errorf("got id %q of stream.open", c.openID)
			}
			if h.Stats().Topics != len(tt.want) {
				t.Errorf("%d topics are followed", h.Stats().Topics)
			}
		})
	}
}

func TestSubscribe_DuplicateTopicDeliversOnce(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(10))
	for _, list := range [][]event.Topic{topics(t, "channel:a", "channel:a"), topics(t, "channel:a", "channel:b", "channel:a", "channel:b")} {
		c := subscribe(t, h, hub.Request{Topics: list})
		publish(t, broker, "channel:a", "x")
		c.read()
		c.check("the client", []string{"x"}, nil)
		c.sub.Close()
	}
}

func TestSubscribe_OverlappingTopicsDeliverCopies(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(10))
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a", "channel:*", "channel:?")})
	defer c.sub.Close()
	publish(t, broker, "channel:a", "1", "2")
	c.read()
	if got := len(c.dataFrom("a")); got != 6 {
		t.Errorf("got %d events: %+v", got, c.got)
	}
	back := c.resume(t, h, c.got[2].id, topics(t, "channel:a", "channel:*", "channel:?"))
	defer back.sub.Close()
	if got := len(back.dataFrom("a")); got != 3 {
		t.Errorf("after half of them: got %d more: %+v", got, back.got)
	}
}

func TestSubscribe_LastSendsRecentEvents(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(150))
	keep := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a", "channel:*")})
	defer keep.sub.Close()
	publish(t, broker, "channel:a", numbers(1, 200)...)
	for name, list := range map[string][]event.Topic{
		"literal": topics(t, "channel:a"),
		"glob":    topics(t, "channel:*"),
		"several": topics(t, "channel:a", "channel:nothing"),
	} {
		for last := range 160 {
			c := subscribe(t, h, hub.Request{Topics: list, Last: last})
			what := fmt.Sprintf("%s, last=%d", name, last)
			want := numbers(200-min(last, 150)+1, 200)
			c.check(what, want, nil)
			c.checkResumed(what, false)
			// A client that loses its connection right after stream.open has missed nothing.
			back := c.resume(t, h, c.openID, list)
			back.check(what+", back with the id of stream.open", want, nil)
			back.sub.Close()
		}
	}
}

func TestSubscribe_LastAppliesToEachTopic(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(100))
	list := topics(t, "channel:a", "channel:b")
	keep := subscribe(t, h, hub.Request{Topics: list})
	defer keep.sub.Close()
	publish(t, broker, "channel:a", numbers(1, 20)...)
	publish(t, broker, "channel:b", numbers(101, 102)...)
	c := subscribe(t, h, hub.Request{Topics: list, Last: 5})
	defer c.sub.Close()
	if got := c.dataFrom("a"); !slices.Equal(got, numbers(16, 20)) {
		t.Errorf("channel a: got %q", got)
	}
	if got := c.dataFrom("b"); !slices.Equal(got, numbers(101, 102)) {
		t.Errorf("channel b: got %q", got)
	}
}

func TestSubscribe_LastAppliesToNewClientsOnly(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(100))
	list := topics(t, "channel:a")
	c := subscribe(t, h, hub.Request{Topics: list})
	publish(t, broker, "channel:a", numbers(1, 20)...)
	c.read()
	c.sub.Close()
	back := subscribe(t, h, hub.Request{Topics: list, IDs: []string{c.got[17].id}, Last: 10})
	defer back.sub.Close()
	back.check("the client", numbers(19, 20), nil)
}

func TestResume_ContinuesAfterEveryID(t *testing.T) {
	t.Parallel()
	for name, list := range map[string][]event.Topic{
		"literal":            topics(t, "channel:a"),
		"glob":               topics(t, "channel:?"),
		"literal and glob":   topics(t, "channel:a", "channel:x*"),
		"odd name":           topics(t, "channel:a", "channel:ü@%,="),
		"a topic that waits": topics(t, "channel:a", "channel:b", "channel:c"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, broker := newHub(t, history(1000))
			c := subscribe(t, h, hub.Request{Topics: list})
			publish(t, broker, "channel:a", numbers(1, 100)...)
			c.read()
			c.check("the client", numbers(1, 100), nil)
			for i, id := range append([]string{c.openID}, ids(c.got)...) {
				back := c.resume(t, h, id, list)
				c = back
				back.check("from "+id, numbers(i+1, 100), nil)
				back.checkResumed("from "+id, true)
			}
			publish(t, broker, "channel:a", "101")
			c.read()
			c.check("the last one", []string{"101"}, nil)
			c.sub.Close()
		})
	}
}

func ids(all []frame) []string {
	out := make([]string, len(all))
	for i, f := range all {
		out[i] = f.id
	}
	return out
}

func TestResume_ExpiredCursorGetsExactGap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		list []event.Topic
		gap  string
	}{
		{"literal", topics(t, "channel:a"), "channel:a"},
		{"glob", topics(t, "channel:?"), "channel:?"},
		{"several", topics(t, "channel:b", "channel:a"), "channel:a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, broker := newHub(t, history(10))
			c := subscribe(t, h, hub.Request{Topics: tt.list})
			publish(t, broker, "channel:a", numbers(1, 3)...)
			c.read()
			id := c.got[1].id // has seen 1 and 2
			publish(t, broker, "channel:a", numbers(4, 100)...)
			const lost = 100 - 2 - 10
			want := fmt.Sprint(tt.gap, " history-expired ", lost)
			back := c.resume(t, h, id, tt.list)
			back.check("the client", numbers(91, 100), []string{want})
			back.checkResumed("the client", false)
			if back.got[0].name != "stream.gap" || back.got[0].origin() != tt.gap && len(tt.list) > 1 {
				t.Errorf("got first event %+v, want the gap with its topic", back.got[0])
			}
			// The client reconnects from before the gap, then from the gap.
			again := back.resume(t, h, back.openID, tt.list)
			again.check("back with the id of stream.open", numbers(91, 100), []string{want})
			behind := again.resume(t, h, again.got[0].id, tt.list)
			behind.check("back with the id of the gap", numbers(91, 100), nil)
			behind.checkResumed("back with the id of the gap", true)
			behind.sub.Close()
		})
	}
}

func TestResume_UnknownCursorIsGap(t *testing.T) {
	t.Parallel()
	list, several := topics(t, "channel:a"), topics(t, "channel:a", "channel:b")
	for _, cursor := range []string{
		"lost", "x", "1-1", "1763820000000-0", "channel:a@lost", "channel:a@1-1", "@", "=", ",", "a=b,c=d",
		"' OR 1=1", "a=b", "channel:a@a=b", "channel:a@AAAAAAA=1,AAAAAAA=2", "channel:a@AAAAAAA=", "channel:a@AAAAAAA=é",
		"\xff\x00", strings.Repeat("9", 10_000), "%zz@1-1", "-", "0", "📡",
	} {
		t.Run(fmt.Sprintf("%.20q", cursor), func(t *testing.T) {
			t.Parallel()
			h, broker := newHub(t, history(10))
			keep := subscribe(t, h, hub.Request{Topics: several})
			defer keep.sub.Close()
			publish(t, broker, "channel:a", "1", "2")
			c := subscribe(t, h, hub.Request{Topics: list, IDs: []string{cursor}})
			c.check("the client", nil, []string{"channel:a unknown-cursor null"})
			c.checkResumed("the client", false)
			publish(t, broker, "channel:a", "3")
			c.read()
			c.check("the client", []string{"3"}, []string{"channel:a unknown-cursor null"})
			again := c.resume(t, h, c.openID, list)
			again.checkGaps("back with the id of stream.open", "channel:a unknown-cursor null")
			behind := again.resume(t, h, c.got[0].id, list)
			behind.check("back with the id of the gap", []string{"3"}, nil)
			behind.sub.Close()
		})
	}
}

func TestResume_CursorOfEarlierEpochIsGap(t *testing.T) {
	t.Parallel()
	one, broker := newHub(t, history(10))
	two := hub.New(broker, hub.Options{Node: "n2", History: history(10), Linger: time.Hour}, noMetrics{})
	t.Cleanup(two.Close)
	list := topics(t, "channel:a")
	a := subscribe(t, one, hub.Request{Topics: list})
	b := subscribe(t, two, hub.Request{Topics: list})
	defer b.sub.Close()
	publish(t, broker, "channel:a", "1", "2", "3")
	a.read()
	b.read()
	// The same number in another journal.
	moved := a.resume(t, two, a.got[0].id, list)
	defer moved.sub.Close()
	if got := moved.data(); !slices.Equal(got, []string{"2", "3"}) {
		moved.checkGaps("moved", "channel:a unknown-cursor null")
	}
}

func TestResume_OneCursorCoversAllTopics(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(1000))
	list := topics(t, "channel:a", "channel:b", "channel:g*")
	c := subscribe(t, h, hub.Request{Topics: list})
	names := []string{"a", "b", "g1", "g2"}
	for round := range 20 {
		for i, name := range names {
			if (round+i)%3 > 0 {
				publish(t, broker, "channel:"+name, fmt.Sprint(round))
			}
		}
	}
	c.read()
	for i := range c.got {
		back := subscribe(t, h, hub.Request{Topics: list, IDs: []string{c.got[i].id}})
		back.checkGaps("the client")
		back.checkResumed("the client", true)
		for _, name := range names {
			var want []string
			for _, f := range c.got[i+1:] {
				if f.origin() == "channel:"+name {
					want = append(want, f.data)
				}
			}
			if got := back.dataFrom(name); !slices.Equal(got, want) {
				t.Fatalf("after %d events: channel %s: got %q, want %q", i+1, name, got, want)
			}
		}
		back.sub.Close()
	}
	c.sub.Close()
}

func TestResume_WithOtherTopics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		before, after []string
		want          []string // events of a
		wantNew       []string // events of n, which was not followed before
	}{
		{"in another order", []string{"a", "b"}, []string{"b", "a"}, numbers(3, 6), nil},
		{"one more", []string{"a", "b"}, []string{"a", "b", "n"}, numbers(3, 6), nil},
		{"one less", []string{"a", "b", "c"}, []string{"a", "b"}, numbers(3, 6), nil},
		{"only one left", []string{"a", "b"}, []string{"a"}, numbers(3, 6), nil},
		{"one exchanged", []string{"a", "b"}, []string{"n", "a"}, numbers(3, 6), nil},
		{"all different", []string{"a", "b"}, []string{"n", "m"}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, broker := newHub(t, history(100))
			list := func(names []string) []event.Topic {
				texts := make([]string, len(names))
				for i, n := range names {
					texts[i] = "channel:" + n
				}
				return topics(t, texts...)
			}
			keep := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a", "channel:b", "channel:c", "channel:n", "channel:m")})
			defer keep.sub.Close()
			c := subscribe(t, h, hub.Request{Topics: list(tt.before)})
			publish(t, broker, "channel:n", "old")
			publish(t, broker, "channel:a", "1", "2")
			c.read()
			id := c.got[len(c.got)-1].id
			publish(t, broker, "channel:a", numbers(3, 6)...)
			publish(t, broker, "channel:n", "also old")
			back := c.resume(t, h, id, list(tt.after))
			back.checkGaps("the client")
			got := back.got
			var ofA []string
			for _, f := range got {
				if f.data != "also old" && f.data != "old" {
					ofA = append(ofA, f.data)
				} else {
					t.Errorf("got %+v of a topic that the client did not follow", f)
				}
			}
			if !slices.Equal(ofA, tt.want) {
				t.Errorf("channel a: got %q, want %q", ofA, tt.want)
			}
			back.sub.Close()
		})
	}
}

// A cursor that names no topic covers a request for one literal topic only.
func TestResume_CursorWithoutTopic(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(100))
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a")})
	publish(t, broker, "channel:a", "1", "2", "3")
	c.read()
	for _, tt := range []struct {
		name string
		list []string
		id   string
		want []string // of channel a
		gaps []string
	}{
		{"one literal topic", []string{"channel:a"}, c.got[0].id, []string{"2", "3"}, nil},
		{"several", []string{"channel:b", "channel:a"}, c.got[0].id, nil, []string{"channel:a unknown-cursor null", "channel:b unknown-cursor null"}},
		{"a glob", []string{"channel:?"}, c.got[0].id, nil, []string{"channel:? unknown-cursor null"}},
		{"several, with the topic named by the client", []string{"channel:b", "channel:a"}, "channel:a@" + c.got[0].id, []string{"2", "3"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			back := c.resume(t, h, tt.id, topics(t, tt.list...))
			defer back.sub.Close()
			back.check("back", tt.want, tt.gaps)
			back.checkResumed("back", len(tt.gaps) == 0)
		})
	}
}

func TestSlowConsumer_GetsExactGap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, topic string
	}{{"literal", "channel:a"}, {"glob", "channel:a*"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, broker := newHub(t, history(10))
			c := subscribe(t, h, hub.Request{Topics: topics(t, tt.topic)})
			publish(t, broker, "channel:a", "1", "2")
			c.read()
			publish(t, broker, "channel:a", numbers(3, 40)...)
			c.read()
			want := []string{tt.topic + " slow-consumer 28"}
			c.check("the client", append(numbers(1, 2), numbers(31, 40)...), want)
			publish(t, broker, "channel:a", numbers(41, 50)...)
			c.read()
			c.check("the client that keeps up again", append(numbers(1, 2), numbers(31, 50)...), want)
			// The client resumes from the gap as from any other event.
			back := c.resume(t, h, c.got[2].id, topics(t, tt.topic))
			back.check("back with the id of the gap", numbers(41, 50), []string{tt.topic + " history-expired 10"})
			back.sub.Close()
		})
	}
}

func TestSlowConsumer_BeforeFirstRead(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(10))
	sub, err := h.Subscribe(t.Context(), hub.Request{Topics: topics(t, "channel:a")})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	publish(t, broker, "channel:a", numbers(1, 30)...)
	c := &testClient{t: t, sub: sub}
	c.read()
	c.got[0].open(t)
	c.got = c.got[1:]
	c.check("the client", numbers(21, 30), []string{"channel:a slow-consumer 20"})
}

func TestSlowConsumer_GetsGapPerTopic(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(100))
	list := topics(t, "channel:a", "channel:b", "channel:c", "channel:g*")
	c := subscribe(t, h, hub.Request{Topics: list})
	publish(t, broker, "channel:a", "1")
	publish(t, broker, "channel:b", "1")
	c.read()
	// More events than any journal holds, in a different order.
	publish(t, broker, "channel:c", numbers(1, 3)...)
	for n := 2; n <= 3000; n++ {
		publish(t, broker, "channel:a", fmt.Sprint(n))
		if n <= 500 {
			publish(t, broker, "channel:b", fmt.Sprint(n))
		}
		if n <= 50 {
			publish(t, broker, fmt.Sprint("channel:g", n%2), fmt.Sprint(n))
		}
	}
	c.read()
	gaps := c.gaps()
	slices.Sort(gaps)
	if want := []string{"channel:a slow-consumer 2899", "channel:b slow-consumer 399"}; !slices.Equal(gaps, want) {
		t.Errorf("got gaps %q, want %q", gaps, want)
	}
	for name, want := range map[string][]string{
		"a":  append(numbers(1, 1), numbers(2901, 3000)...),
		"b":  append(numbers(1, 1), numbers(401, 500)...),
		"c":  numbers(1, 3),
		"g0": {"2", "4", "6", "8", "10", "12", "14", "16", "18", "20", "22", "24", "26", "28", "30", "32", "34", "36", "38", "40", "42", "44", "46", "48", "50"},
	} {
		if got := c.dataFrom(name); !slices.Equal(got, want) {
			t.Errorf("channel %s: got %.200q, want %.200q", name, got, want)
		}
	}
	c.sub.Close()
}

func TestSlowConsumer_LosesNothingInTopicJournals(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(5000))
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a", "channel:b")})
	for n := 1; n <= 4000; n++ {
		publish(t, broker, "channel:a", fmt.Sprint(n))
		publish(t, broker, "channel:b", fmt.Sprint(n))
	}
	c.read()
	c.checkGaps("the client")
	for _, name := range []string{"a", "b"} {
		if got := c.dataFrom(name); !slices.Equal(got, numbers(1, 4000)) {
			t.Errorf("channel %s: got %d events", name, len(got))
		}
	}
	c.sub.Close()
}

// A client that reads directly from the journal and falls behind before its first read has the
// position that Next returned.
func TestSlowConsumer_BeforeFirstJournalRead(t *testing.T) {
	t.Parallel()
	for name, list := range map[string][]event.Topic{"one topic": topics(t, "channel:a"), "several": topics(t, "channel:a", "channel:b")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, broker := newHub(t, history(2000))
			c := subscribe(t, h, hub.Request{Topics: list})
			defer c.sub.Close()
			publish(t, broker, "channel:a", "1")
			c.read()
			if !c.sub.Live() {
				t.Fatal("the subscription is not live")
			}
			publish(t, broker, "channel:a", numbers(2, 1500)...) // exceeds the journal of several topics
			c.read()
			c.check("the client", numbers(1, 1500), nil)
		})
	}
}

func TestSlowConsumer_DuringReplay(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(500))
	list := topics(t, "channel:a", "channel:b")
	keep := subscribe(t, h, hub.Request{Topics: list})
	defer keep.sub.Close()
	publish(t, broker, "channel:a", numbers(1, 500)...)
	publish(t, broker, "channel:b", numbers(1, 500)...)
	sub, err := h.Subscribe(t.Context(), hub.Request{Topics: list, Last: 500})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	c := &testClient{t: t, sub: sub}
	for range 2 { // stream.open and the first batch, of channel:a
		c.got = append(c.got, frames(t, next(t, sub).Bytes)...)
	}
	publish(t, broker, "channel:a", numbers(501, 2000)...)
	publish(t, broker, "channel:b", numbers(501, 700)...)
	c.read()
	c.got = c.got[1:]
	for _, name := range []string{"a", "b"} {
		next, lost := 1, int64(0)
		for _, f := range c.got {
			switch {
			case f.name == "stream.gap" && f.gap(t).Topic == "channel:"+name:
				lost = *f.gap(t).Lost
				next += int(lost)
			case f.name == "" && f.origin() == "channel:"+name:
				if f.data != fmt.Sprint(next) {
					t.Fatalf("channel %s: got %s, want %d", name, f.data, next)
				}
				next++
			}
		}
		if want := map[string]int{"a": 2001, "b": 701}[name]; next != want || lost == 0 {
			t.Errorf("channel %s: the client ends before %d, %d lost", name, next, lost)
		}
	}
}

func TestUpstreamGap_ReachesSubscribersInOrder(t *testing.T) {
	t.Parallel()
	src := newFakeSource()
	h := hub.New(src, hub.Options{Node: "n1", History: history(100), Linger: time.Hour}, noMetrics{})
	t.Cleanup(h.Close)
	literal := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a")})
	several := subscribe(t, h, hub.Request{Topics: topics(t, "channel:b", "channel:a", "channel:*")})
	for _, topic := range []string{"channel:a", "channel:*"} {
		src.event(t, topic, "a", "1")
		src.sink(t, topic).Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown})
		src.event(t, topic, "a", "2")
	}
	literal.read()
	several.read()
	literal.check("the literal", []string{"1", "2"}, []string{"channel:a source-interrupted null"})
	several.check("several", []string{"1", "2", "1", "2"}, []string{"channel:* source-interrupted null", "channel:a source-interrupted null"})
	if literal.got[1].name != "stream.gap" {
		t.Errorf("the gap is not in order: %+v", literal.got)
	}
	if several.got[1].origin() != "channel:*" {
		t.Errorf("the id of the gap of a glob names %q", several.got[1].origin())
	}
	// A client that resumes before the gap gets it again. A client that resumes after it does not.
	back := literal.resume(t, h, literal.got[0].id, topics(t, "channel:a"))
	back.check("from before the gap", []string{"2"}, []string{"channel:a source-interrupted null"})
	behind := back.resume(t, h, literal.got[1].id, topics(t, "channel:a"))
	behind.check("from the gap", []string{"2"}, nil)
	behind.sub.Close()
	several.sub.Close()
}

func TestSlowConsumer_UpstreamGapHasUnknownCount(t *testing.T) {
	t.Parallel()
	src := newFakeSource()
	h := hub.New(src, hub.Options{Node: "n1", History: history(5), Linger: time.Hour}, noMetrics{})
	t.Cleanup(h.Close)
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a")})
	src.sink(t, "channel:a").Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown})
	for n := range 10 {
		src.event(t, "channel:a", "a", fmt.Sprint(n))
	}
	c.read()
	c.check("the client", numbers(5, 9), []string{"channel:a slow-consumer null"})
	// Losses of known size are added.
	src.sink(t, "channel:a").Gap(source.Gap{Reason: event.HistoryExpired, Lost: 7})
	for n := range 10 {
		src.event(t, "channel:a", "a", fmt.Sprint(n))
	}
	c.got = nil
	c.read()
	c.check("the client", numbers(5, 9), []string{"channel:a slow-consumer 12"})
	c.sub.Close()
}

func TestLinger_KeepsTopicAfterLastSubscriber(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const linger = time.Minute
		src := newFakeSource()
		h := hub.New(src, hub.Options{Node: "n1", History: history(100), Linger: linger}, noMetrics{})
		defer h.Close()
		list := topics(t, "channel:a", "channel:b")
		c := subscribe(t, h, hub.Request{Topics: list})
		other := subscribe(t, h, hub.Request{Topics: topics(t, "channel:b")})
		src.event(t, "channel:a", "a", "1")
		c.read()
		c.sub.Close()

		time.Sleep(linger - time.Second)
		src.event(t, "channel:a", "a", "2")
		back := subscribe(t, h, hub.Request{Topics: list, IDs: []string{c.lastID()}})
		back.check("back in time", []string{"2"}, nil)
		back.checkResumed("back in time", true)
		time.Sleep(2 * linger)
		if n := src.followed(); n != 2 {
			t.Fatalf("%d topics are followed while they have subscribers", n)
		}

		back.sub.Close()
		time.Sleep(linger - time.Nanosecond)
		synctest.Wait()
		if n := src.followed(); n != 2 {
			t.Errorf("before the linger time ends: %d topics are followed", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := src.followed(); n != 1 || h.Stats().Topics != 1 {
			t.Errorf("after the linger time: %d topics are followed, want the one with a subscriber", n)
		}

		late := subscribe(t, h, hub.Request{Topics: list, IDs: []string{back.lastID()}})
		late.checkGaps("back too late", "channel:a unknown-cursor null")
		late.sub.Close()
		other.sub.Close()
		time.Sleep(linger)
		synctest.Wait()
		if n := src.followed(); n != 0 || h.Stats().Topics != 0 || h.Stats().JournalBytes != 0 {
			t.Errorf("%d topics are followed, %+v", n, h.Stats())
		}
	})
}

func TestLinger_RestartsWithEachClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const linger = time.Minute
		src := newFakeSource()
		h := hub.New(src, hub.Options{Node: "n1", History: history(100), Linger: linger}, noMetrics{})
		defer h.Close()
		list := topics(t, "channel:a")
		subscribe(t, h, hub.Request{Topics: list}).sub.Close()
		time.Sleep(linger / 2)
		subscribe(t, h, hub.Request{Topics: list}).sub.Close()
		time.Sleep(linger - time.Second) // the first linger time has passed
		synctest.Wait()
		if n := src.followed(); n != 1 {
			t.Errorf("before the linger time ends: %d topics are followed", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := src.followed(); n != 0 {
			t.Errorf("after the linger time: %d topics are followed", n)
		}
	})
}

func TestSubscribe_FailureReleasesTopics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := newFakeSource()
		src.away = fmt.Errorf("%w: set by the test", source.ErrUnavailable)
		h := hub.New(src, hub.Options{Node: "n1", History: history(100), Linger: time.Minute}, noMetrics{})
		defer h.Close()
		if _, err := h.Subscribe(t.Context(), hub.Request{Topics: topics(t, "channel:a", "channel:b")}); !errors.Is(err, source.ErrUnavailable) {
			t.Errorf("Subscribe: got error %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := src.followed(); n != 0 {
			t.Errorf("%d topics are followed", n)
		}
	})
}

func TestSubscribe_AfterCloseFails(t *testing.T) {
	t.Parallel()
	h, _ := newHub(t, history(10))
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a", "channel:b")})
	h.Close()
	if _, err := h.Subscribe(t.Context(), hub.Request{Topics: topics(t, "channel:a")}); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Subscribe: got error %v", err)
	}
	c.read()
	c.sub.Close()
}

func TestSubscribe_ObservesContext(t *testing.T) {
	t.Parallel()
	src := newFakeSource()
	src.never = true
	h := hub.New(src, hub.Options{Node: "n1", History: history(100), Linger: time.Minute}, noMetrics{})
	t.Cleanup(h.Close)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Subscribe(ctx, hub.Request{Topics: topics(t, "channel:a")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe: got error %v", err)
	}
}

// Another goroutine would run after those of all other new clients, whose requests would be in
// memory until then.
func TestSubscribe_OneTopicStartsNoGoroutine(t *testing.T) {
	src := newFakeSource()
	var stack string
	src.onExists = func() { stack = string(debug.Stack()) }
	h := hub.New(src, hub.Options{Node: "n1", History: journal.Limits{Events: 10, Bytes: 1 << 20}}, noMetrics{})
	defer h.Close()
	sub, err := h.Subscribe(t.Context(), hub.Request{Topics: []event.Topic{event.Literal(event.Channel, "a")}})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if !strings.Contains(stack, "hub.(*Hub).Subscribe(") {
		t.Errorf("got the stack of another goroutine:\n%s", stack)
	}
}

func TestStats_CountsTopicsAndMemory(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, journal.Limits{Events: 1000, Bytes: 10_000})
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a", "channel:b")})
	d := subscribe(t, h, hub.Request{Topics: topics(t, "channel:b")})
	publish(t, broker, "channel:a", strings.Repeat("x", 1000))
	if s := h.Stats(); s.Topics != 2 || s.JournalBytes < 1000 {
		t.Errorf("got stats %+v", s)
	}
	for range 100 {
		publish(t, broker, "channel:a", strings.Repeat("x", 1000))
	}
	c.sub.Close()
	if s := h.Stats(); s.JournalBytes > 10_000 {
		t.Errorf("got %d bytes for a history of 10,000", s.JournalBytes)
	}
	d.sub.Close()
}

func BenchmarkHub_Event(b *testing.B) {
	for _, lists := range []int{0, 1, 10} {
		for _, subs := range []int{1, 1000} {
			b.Run(fmt.Sprintf("lists=%d/subs=%d", lists, subs), func(b *testing.B) {
				broker := memory.New(source.Fill{Events: 4096, Bytes: 4 << 20})
				h := hub.New(broker, hub.Options{Node: "n1", History: journal.Limits{Events: 4096, Bytes: 4 << 20}, Linger: time.Hour}, noMetrics{})
				defer h.Close()
				a := event.Literal(event.Channel, "a")
				for i := range subs {
					req := hub.Request{Topics: []event.Topic{a}}
					if lists > 0 {
						req.Topics = append(req.Topics, event.Literal(event.Channel, fmt.Sprint("b", i%lists)))
					}
					sub, err := h.Subscribe(b.Context(), req)
					if err != nil {
						b.Fatal(err)
					}
					defer sub.Close()
					hub.Watch(sub.Reader(), make(waker, 1))
				}
				payload := []byte(`{"time":"2026-03-01T12:00:00.000Z","value":7}`)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := broker.Publish(b.Context(), a, source.Message{Data: payload}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
