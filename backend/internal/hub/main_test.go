package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/memory"
	"sluice/internal/test/redistest"
)

func TestMain(m *testing.M) {
	os.Exit(redistest.Run(m))
}

// counts is the metrics of a hub.
type counts struct {
	events, gaps atomic.Int64
}

func (c *counts) EventReceived(event.Kind)     { c.events.Add(1) }
func (c *counts) GapAnnounced(event.GapReason) { c.gaps.Add(1) }
func (c *counts) ReplayRead()                  {}

// newHub returns a hub over a broker of its own.
func newHub(t *testing.T, history journal.Limits) (*hub.Hub, *memory.Broker) {
	t.Helper()
	broker := memory.New(source.Fill{Events: history.Events, Bytes: history.Bytes})
	h := hub.New(broker, hub.Options{Node: "n1", History: history, Linger: time.Hour}, new(counts))
	t.Cleanup(h.Close)
	return h, broker
}

func events(n int) journal.Limits {
	return journal.Limits{Events: n, Bytes: 1 << 30}
}

func topics(t *testing.T, texts ...string) []event.Topic {
	t.Helper()
	list := make([]event.Topic, len(texts))
	for i, text := range texts {
		topic, err := event.ParseTopic(text)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = topic
	}
	return list
}

func publish(t testing.TB, broker *memory.Broker, name string, data ...string) {
	t.Helper()
	for _, d := range data {
		if _, err := broker.Publish(context.Background(), event.Literal(event.Channel, name), source.Message{Data: []byte(d)}); err != nil {
			t.Error(err)
		}
	}
}

// numbers returns the texts from first to last.
func numbers(first, last int) []string {
	var out []string
	for n := first; n <= last; n++ {
		out = append(out, fmt.Sprint(n))
	}
	return out
}

// frame is one block as a client reads it.
type frame struct {
	id, name, data string
}

// origin returns the topic that the id names.
func (f frame) origin() string {
	topic, _ := event.SplitID(f.id)
	return topic.String()
}

// frames reads blocks that each have an id.
func frames(t testing.TB, stream []byte) []frame {
	t.Helper()
	var out []frame
	for block := range strings.SplitSeq(strings.TrimSuffix(string(stream), "\n\n"), "\n\n") {
		if block == "" {
			continue
		}
		var f frame
		var data []string
		for line := range strings.SplitSeq(block, "\n") {
			field, value, _ := strings.Cut(line, ": ")
			switch field {
			case "id":
				f.id = value
			case "event":
				f.name = value
			case "data":
				data = append(data, value)
			default:
				t.Fatalf("a line %q in the block %q", line, block)
			}
		}
		if f.id == "" || strings.ContainsFunc(f.id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Fatalf("no good id in the block %q", block)
		}
		f.data = strings.Join(data, "\n")
		out = append(out, f)
	}
	return out
}

type gapData struct {
	Topic  string `json:"topic"`
	Reason string `json:"reason"`
	Lost   *int64 `json:"lost"`
}

func (f frame) gap(t testing.TB) gapData {
	t.Helper()
	var g gapData
	if err := json.Unmarshal([]byte(f.data), &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// String shows a gap as "topic reason lost".
func (g gapData) String() string {
	if g.Lost == nil {
		return g.Topic + " " + g.Reason + " null"
	}
	return fmt.Sprint(g.Topic, " ", g.Reason, " ", *g.Lost)
}

type openData struct {
	Topics  []string `json:"topics"`
	Resumed bool     `json:"resumed"`
	Node    string   `json:"node"`
}

func (f frame) open(t testing.TB) openData {
	t.Helper()
	if f.name != "stream.open" {
		t.Fatalf("the first event is %+v", f)
	}
	var o openData
	if err := json.Unmarshal([]byte(f.data), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// client is a subscription and what it has given out.
type client struct {
	t      testing.TB
	sub    *hub.Subscription
	opened openData
	openID string
	all    []frame // behind stream.open
}

// subscribe opens a subscription and reads what it has.
func subscribe(t *testing.T, h *hub.Hub, req hub.Request) *client {
	t.Helper()
	sub, err := h.Subscribe(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, sub: sub}
	got := c.read()
	if len(got) == 0 {
		t.Fatal("a subscription begins with nothing")
	}
	c.opened, c.openID, c.all = got[0].open(t), got[0].id, got[1:]
	return c
}

// resume ends the subscription and comes back with an id.
func (c *client) resume(t *testing.T, h *hub.Hub, id string, list []event.Topic) *client {
	t.Helper()
	c.sub.Close()
	return subscribe(t, h, hub.Request{Topics: list, IDs: []string{id}})
}

func next(t testing.TB, sub *hub.Subscription) journal.Batch {
	t.Helper()
	b, err := sub.Next(t.Context())
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return b
}

// read reads what there is now.
func (c *client) read() []frame {
	c.t.Helper()
	var out []frame
	for {
		b := next(c.t, c.sub)
		if len(b.Bytes) == 0 {
			c.all = append(c.all, out...)
			return out
		}
		out = append(out, frames(c.t, b.Bytes)...)
	}
}

// data returns the data of all data events from one channel, or from all.
func (c *client) data(channel string) []string {
	var out []string
	for _, f := range c.all {
		if f.name == "" && (channel == "" || f.origin() == "channel:"+channel) {
			out = append(out, f.data)
		}
	}
	return out
}

func (c *client) gaps() []string {
	c.t.Helper()
	var out []string
	for _, f := range c.all {
		if f.name == "stream.gap" {
			out = append(out, f.gap(c.t).String())
		}
	}
	return out
}

func (c *client) lastID() string {
	if len(c.all) == 0 {
		return c.openID
	}
	return c.all[len(c.all)-1].id
}

func (c *client) check(what string, data, gaps []string) {
	c.t.Helper()
	if got := c.data(""); !slices.Equal(got, data) {
		c.t.Errorf("%s: events are %.300q, want %.300q", what, got, data)
	}
	c.checkGaps(what, gaps...)
}

func (c *client) checkGaps(what string, gaps ...string) {
	c.t.Helper()
	if got := c.gaps(); !slices.Equal(got, gaps) {
		c.t.Errorf("%s: gaps are %q, want %q", what, got, gaps)
	}
}

func (c *client) checkResumed(what string, want bool) {
	c.t.Helper()
	if c.opened.Resumed != want {
		c.t.Errorf("%s: resumed is %v", what, c.opened.Resumed)
	}
}
