package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
)

// frame is one parsed event of the wire format.
type frame struct {
	id, name, data string
}

func (f frame) isGap() bool { return f.name == "stream.gap" }

// origin returns the topic in the id.
func (f frame) origin() string {
	topic, _ := event.SplitID(f.id)
	return topic.String()
}

type gapData struct {
	Topic  string          `json:"topic"`
	Reason event.GapReason `json:"reason"`
	Lost   *int64          `json:"lost"`
}

func (f frame) gap(t testing.TB) gapData {
	t.Helper()
	var g gapData
	if err := json.Unmarshal([]byte(f.data), &g); err != nil {
		t.Fatalf("%+v: %v", f, err)
	}
	return g
}

// String returns "topic reason lost".
func (g gapData) String() string {
	if g.Lost == nil {
		return fmt.Sprintf("%s %s null", g.Topic, g.Reason)
	}
	return fmt.Sprintf("%s %s %d", g.Topic, g.Reason, *g.Lost)
}

type openData struct {
	Topics  []string `json:"topics"`
	Resumed bool     `json:"resumed"`
	Node    string   `json:"node"`
}

func (f frame) open(t testing.TB) openData {
	t.Helper()
	if f.name != "stream.open" {
		t.Fatalf("got first event %+v, want stream.open", f)
	}
	var o openData
	if err := json.Unmarshal([]byte(f.data), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// frames parses frames. Each must have a printable id and known fields only.
func frames(t testing.TB, stream []byte) []frame {
	t.Helper()
	if len(stream) > 0 && !strings.HasSuffix(string(stream), "\n\n") {
		t.Errorf("the batch ends within a frame: %.200q", stream)
	}
	var out []frame
	for text := range strings.SplitSeq(strings.TrimSuffix(string(stream), "\n\n"), "\n\n") {
		if text == "" {
			continue
		}
		var f frame
		var data []string
		for line := range strings.SplitSeq(text, "\n") {
			field, value, _ := strings.Cut(line, ": ")
			switch field {
			case "id":
				f.id = value
			case "event":
				f.name = value
			case "data":
				data = append(data, value)
			default:
				t.Fatalf("unknown field %.100q in the frame %.200q", line, text)
			}
		}
		if f.id == "" || strings.ContainsFunc(f.id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Errorf("invalid id in the frame %.200q", text)
		}
		f.data = strings.Join(data, "\n")
		out = append(out, f)
	}
	return out
}

// next reads one batch of a subscription.
func next(t testing.TB, sub *hub.Subscription) journal.Batch {
	t.Helper()
	b, err := sub.Next(t.Context())
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return b
}

// waker is a [journal.Waker] that a test can wait for.
type waker chan struct{}

func (w waker) Wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// testClient is a subscription and the frames that it received.
type testClient struct {
	t       testing.TB
	sub     *hub.Subscription
	wake    waker
	opened  openData
	openID  string
	got     []frame // after stream.open
	largest int     // size of the largest batch
}

// subscribe subscribes to a hub and reads all available frames.
func subscribe(t testing.TB, h *hub.Hub, req hub.Request) *testClient {
	t.Helper()
	c := gateway{Hub: h}.subscribe(t, req)
	c.read()
	return c
}

// subscribe subscribes and reads the batch with stream.open.
func (g gateway) subscribe(t testing.TB, req hub.Request) *testClient {
	t.Helper()
	c, err := g.trySubscribe(t, req)
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	return c
}

// subscribeLagging subscribes at a node that lags behind the client. The node must reject the client
// until it has found that its connection to Redis is lost.
func (g gateway) subscribeLagging(t testing.TB, req hub.Request) *testClient {
	t.Helper()
	if c, err := g.trySubscribe(t, req); err == nil {
		t.Error("the node accepted a client that has received more than it")
		return c
	}
	return g.subscribeAgain(t, req)
}

// subscribeAgain is like subscribe, but tries again while the node answers that it is unavailable, as
// clients do.
func (g gateway) subscribeAgain(t testing.TB, req hub.Request) *testClient {
	t.Helper()
	end := time.Now().Add(testTimeout)
	c, err := g.trySubscribe(t, req)
	for errors.Is(err, source.ErrUnavailable) && time.Now().Before(end) {
		c, err = g.trySubscribe(t, req)
	}
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	return c
}

// trySubscribe is like subscribe, but returns an error of Subscribe.
func (g gateway) trySubscribe(t testing.TB, req hub.Request) (*testClient, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	sub, err := g.Subscribe(ctx, req)
	if err != nil {
		return nil, err
	}
	c := &testClient{t: t, sub: sub, wake: make(waker, 1)}
	hub.Watch(sub.Reader(), c.wake)
	c.next()
	if len(c.got) == 0 {
		t.Fatal("got an empty first batch")
	}
	c.opened, c.openID, c.got = c.got[0].open(t), c.got[0].id, c.got[1:]
	return c, nil
}

// resume closes the subscription and subscribes again with an id.
func (c *testClient) resume(t testing.TB, h *hub.Hub, id string, list []event.Topic) *testClient {
	t.Helper()
	c.close()
	return subscribe(t, h, hub.Request{Topics: list, IDs: []string{id}})
}

func (c *testClient) close() {
	hub.Unwatch(c.sub.Reader(), c.wake)
	c.sub.Close()
}

// next reads one batch and reports whether it had any frames.
func (c *testClient) next() bool {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	b, err := c.sub.Next(ctx)
	if err != nil {
		c.t.Fatalf("Next: %v", err)
	}
	c.got = append(c.got, frames(c.t, slices.Concat(b.Bytes, b.Body))...)
	c.largest = max(c.largest, len(b.Bytes))
	return len(b.Bytes) > 0
}

// read reads and returns all available frames.
func (c *testClient) read() []frame {
	c.t.Helper()
	before := len(c.got)
	for c.next() {
	}
	return c.got[before:]
}

// await reads until a condition on the received frames is met.
func (c *testClient) await(what string, met func() bool) {
	c.t.Helper()
	deadline := time.After(testTimeout)
	for !met() {
		if c.next() {
			continue
		}
		select {
		case <-c.wake:
		case <-deadline:
			c.t.Fatalf("timeout after %s: %s; got %d frames, the last are %v", testTimeout, what, len(c.got), c.got[max(0, len(c.got)-5):])
		}
	}
}

// awaitData reads until an event has the given data.
func (c *testClient) awaitData(data string) {
	c.t.Helper()
	seen := 0
	c.await(fmt.Sprintf("%.60q", data), func() bool {
		for ; seen < len(c.got); seen++ {
			if !c.got[seen].isGap() && c.got[seen].data == data {
				return true
			}
		}
		return false
	})
}

// data returns the data of all events other than gaps.
func (c *testClient) data() []string {
	var out []string
	for _, f := range c.got {
		if !f.isGap() {
			out = append(out, f.data)
		}
	}
	return out
}

// dataFrom is like data, for the events of one channel.
func (c *testClient) dataFrom(channel string) []string {
	var out []string
	for _, f := range c.got {
		if !f.isGap() && f.origin() == "channel:"+channel {
			out = append(out, f.data)
		}
	}
	return out
}

func (c *testClient) gaps() []string {
	c.t.Helper()
	var out []string
	for _, f := range c.got {
		if f.isGap() {
			out = append(out, f.gap(c.t).String())
		}
	}
	return out
}

// lastID returns the id that an EventSource would send.
func (c *testClient) lastID() string {
	if len(c.got) == 0 {
		return c.openID
	}
	return c.got[len(c.got)-1].id
}

func (c *testClient) check(what string, data, gaps []string) {
	c.t.Helper()
	if got := c.data(); !slices.Equal(got, data) {
		c.t.Errorf("%s: got events %.500q, want %.500q", what, got, data)
	}
	c.checkGaps(what, gaps...)
}

func (c *testClient) checkGaps(what string, gaps ...string) {
	c.t.Helper()
	if got := c.gaps(); !slices.Equal(got, gaps) {
		c.t.Errorf("%s: got gaps %q, want %q", what, got, gaps)
	}
}

func (c *testClient) checkResumed(what string, want bool) {
	c.t.Helper()
	if c.opened.Resumed != want {
		c.t.Errorf("%s: got resumed %v, want %v", what, c.opened.Resumed, want)
	}
}
