package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/memory"
)

type noMetrics struct{}

func (noMetrics) EventReceived(event.Kind)     {}
func (noMetrics) GapAnnounced(event.GapReason) {}
func (noMetrics) ReplayRead()                  {}

// newIntervalHub returns a hub over an embedded broker for a synctest bubble.
func newIntervalHub(t *testing.T, events int) (*Hub, func(topic, data string)) {
	t.Helper()
	limits := journal.Limits{Events: events, Bytes: 1 << 30}
	src := memory.New(source.Fill{Events: events, Bytes: 1 << 30})
	h := New(src, Options{Node: "n", History: limits, Linger: time.Hour}, noMetrics{})
	t.Cleanup(h.Close)
	return h, func(topic, data string) {
		t.Helper()
		if _, err := src.Publish(context.Background(), parseTopic(t, topic), source.Message{Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
}

func parseTopic(t *testing.T, text string) event.Topic {
	t.Helper()
	topic, err := event.ParseTopic(text)
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

// received returns the data lines and the last id that a subscription has available.
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
		list = append(list, parseTopic(t, topic))
	}
	s, err := h.Subscribe(context.Background(), Request{Topics: list, IDs: []string{cursor}, Every: every})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEvery_LimitsEachTopicOfGlob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, publish := newIntervalHub(t, 1000)
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
				t.Errorf("got %q, want %q", data, want)
			}
		}
		round(1)
		expect(1)
		for n := 2; n <= 9; n++ {
			round(n)
			time.Sleep(100 * time.Millisecond)
			if data, _ := received(t, s); len(data) > 0 {
				t.Errorf("got %q within the interval", data)
			}
		}
		if due := s.Reader().Due(); !due.Equal(time.Now().Add(200 * time.Millisecond)) {
			t.Errorf("got a next event in %s", time.Until(due))
		}
		time.Sleep(200 * time.Millisecond)
		expect(9)
		if due := s.Reader().Due(); !due.IsZero() {
			t.Errorf("got a next event in %s, but no event is held", time.Until(due))
		}
		time.Sleep(time.Hour)
		if data, _ := received(t, s); len(data) > 0 {
			t.Errorf("got late event %q", data)
		}
	})
}

func TestEvery_ReconnectGetsHeldEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, publish := newIntervalHub(t, 1000)
		topics := []string{"channel:a", "channel:b", "stream:s"}
		s := subscribeEvery(t, h, time.Second, "", topics...)
		publish("channel:a", "a1")
		received(t, s)
		time.Sleep(100 * time.Millisecond)
		publish("channel:a", "a2") // held
		publish("channel:b", "b1") // sent
		data, id := received(t, s)
		if !slices.Equal(data, []string{"b1"}) {
			t.Fatalf("got %q", data)
		}
		s.Close()
		back := subscribeEvery(t, h, time.Second, id, topics...)
		defer back.Close()
		if data, _ := received(t, back); !slices.Contains(data, "a2") {
			t.Errorf("after a reconnect: got %q, want the held a2", data)
		}
	})
}

// The gap of a slow client must not overtake an event that is held for it.
func TestEvery_SlowClientGapKeepsOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, publish := newIntervalHub(t, 10)
		topics := []string{"channel:a*", "channel:b"} // of a literal topic only the newest event is read
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
			t.Fatalf("got %q, want a gap", data)
		}
		if slices.Contains(data, "b2") {
			return
		}
		back := subscribeEvery(t, h, time.Hour, id, topics...)
		defer back.Close()
		if again, _ := received(t, back); !slices.Contains(again, "b2") {
			t.Errorf("got %q, and %q after a reconnect with the id of the gap; the held event b2 is lost", data, again)
		}
	})
}

func TestEvery_SourceGapKeepsOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, publish := newIntervalHub(t, 1000)
		s := subscribeEvery(t, h, time.Hour, "", "channel:a")
		defer s.Close()
		publish("channel:a", "1")
		received(t, s)
		publish("channel:a", "2")
		publish("channel:a", "3")
		h.logs[parseTopic(t, "channel:a")].Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown})
		publish("channel:a", "4")
		data, _ := received(t, s)
		if len(data) != 2 || data[0] != "3" || !strings.Contains(data[1], "source-interrupted") {
			t.Errorf("got %q, want the newest event before the gap, and the gap", data)
		}
		time.Sleep(time.Hour)
		if data, _ := received(t, s); !slices.Equal(data, []string{"4"}) {
			t.Errorf("got %q after the gap", data)
		}
	})
}
