//go:build !race

package hub_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/marker"
	"sluice/internal/source/memory"
)

// An event allocates its cursor and a part of a segment. It allocates nothing per subscriber.
func TestBudget_EventAllocationsIndependentOfSubscribers(t *testing.T) {
	const events, most = 1000, 1.1 // allocations per event
	for _, subscribers := range []int{1, 1000} {
		t.Run(fmt.Sprintf("subs=%d", subscribers), func(t *testing.T) {
			markers := marker.NewLog()
			src := newFakeSource()
			src.begin = source.Position{Markers: markers.View()}
			h := hub.New(src, hub.Options{Node: "n1", History: journal.Limits{Events: 4096, Bytes: 4 << 20}, Linger: time.Hour}, noMetrics{})
			defer h.Close()
			a := event.Literal(event.Channel, "a")
			for range subscribers {
				sub, err := h.Subscribe(t.Context(), hub.Request{Topics: []event.Topic{a}})
				if err != nil {
					t.Fatal(err)
				}
				defer sub.Close()
				hub.Watch(sub.Reader(), make(waker, 1))
			}
			markers.Add(marker.Marker{Node: "abcdefgh", Sequence: 1}) // so cursors have all parts
			sink := src.sink(t, "channel:a")
			e := event.Event{Topic: a, Data: []byte(`{"time":"2026-03-01T12:00:00.000Z","value":7}`)}
			for range 2 * events { // until segments have reached their full size
				sink.Event(e, source.Position{})
			}
			n := testing.AllocsPerRun(20, func() {
				for range events {
					sink.Event(e, source.Position{})
				}
			})
			if n > events*most {
				t.Errorf("got %.2f allocations per event, want at most %v", n/events, most)
			}
		})
	}
}

// Clients that each follow one shared topic and one other topic need little memory, even while they
// do not read: only the journals of the topics hold events.
func TestBudget_TopicListHoldsNoEvents(t *testing.T) {
	const clients, events, most = 1000, 1000, 4 << 10 // bytes per client
	broker := memory.New(source.Fill{Events: 4096, Bytes: 4 << 20})
	h := hub.New(broker, hub.Options{Node: "n1", History: journal.Limits{Events: 4096, Bytes: 4 << 20}, Linger: time.Hour}, noMetrics{})
	defer h.Close()
	shared := event.Literal(event.Channel, "hot")
	subs := make([]*hub.Subscription, clients)
	for i := range subs {
		sub, err := h.Subscribe(t.Context(), hub.Request{Topics: []event.Topic{shared, event.Literal(event.Channel, fmt.Sprint("own", i))}})
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		drain(t, sub)
		subs[i] = sub
	}
	before := heapInUse()
	payload := strings.Repeat("x", 400)
	for range events {
		publish(t, broker, "channel:hot", payload)
	}
	if cost := (int64(heapInUse()) - int64(before)) / clients; cost > most {
		t.Errorf("after %d events: got %d bytes per client, want at most %d", events, cost, most)
	}
	for i, sub := range subs {
		n := 0
		for {
			b, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(b.Bytes) == 0 {
				break
			}
			n += b.Frames
		}
		if n != events {
			t.Fatalf("client %d received %d events", i, n)
		}
	}
}

// Clients that receive the values of a glob need little memory, even while they do not read: only the
// topic has a list of its keys.
func TestBudget_KeyReplayHoldsNoList(t *testing.T) {
	const clients, keys, most = 1000, 5000, 4 << 10 // bytes per client
	broker := memory.New(source.Fill{Events: 10, Bytes: 1 << 20})
	h := hub.New(broker, hub.Options{Node: "n1", History: journal.Limits{Events: 10, Bytes: 1 << 20}, Linger: time.Hour}, noMetrics{})
	defer h.Close()
	for i := range keys {
		publish(t, broker, fmt.Sprint("key:g:", i), "1")
	}
	glob := topics(t, "key:g:*")
	subs := make([]*hub.Subscription, 0, clients)
	subscribe := func() {
		sub, err := h.Subscribe(t.Context(), hub.Request{Topics: glob})
		if err != nil {
			t.Fatal(err)
		}
		subs = append(subs, sub)
	}
	subscribe()
	before := heapInUse()
	for range clients {
		subscribe()
	}
	if cost := (int64(heapInUse()) - int64(before)) / clients; cost > most {
		t.Errorf("got %d bytes per client, want at most %d", cost, most)
	}
	for _, sub := range subs {
		sub.Close()
	}
}
