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

type silent struct{}

func (silent) EventReceived(event.Kind)     {}
func (silent) GapAnnounced(event.GapReason) {}
func (silent) ReplayRead()                  {}

// everyHub returns a hub over an embedded broker, for a test in a bubble of time.
func everyHub(t *testing.T, events int) (*Hub, func(topic, data string)) {
	t.Helper()
	limits := journal.Limits{Events: events, Bytes: 1 << 30}
	src := memory.New(source.Fill{Events: events, Bytes: 1 << 30})
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
		if due := s.Reader().Due(); !due.Equal(time.Now().Add(200 * time.Millisecond)) {
			t.Errorf("something is due in %s", time.Until(due))
		}
		time.Sleep(200 * time.Millisecond)
		expect(9)
		if due := s.Reader().Due(); !due.IsZero() {
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
		h.logs[topicNamed(t, "channel:a")].Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown})
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
