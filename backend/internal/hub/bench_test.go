package hub_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/memory"
)

func BenchmarkHub_Resume(b *testing.B) {
	const held = 4096
	for _, lists := range []int{1, 2} {
		for _, missed := range []int{0, 10, 1000} {
			b.Run(fmt.Sprintf("topics=%d/events=%d", lists, missed), func(b *testing.B) {
				broker := memory.New(source.Fill{Events: held, Bytes: 4 << 20})
				h := hub.New(broker, hub.Options{Node: "n1", History: journal.Limits{Events: held, Bytes: 4 << 20}, Linger: time.Hour}, noMetrics{})
				defer h.Close()
				request := hub.Request{Topics: []event.Topic{event.Literal(event.Channel, "a"), event.Literal(event.Channel, "b")}[:lists]}
				stay, err := h.Subscribe(b.Context(), request)
				if err != nil {
					b.Fatal(err)
				}
				defer stay.Close()
				publish(b, broker, "channel:a", numbers(1, held-missed)...)
				seen := frames(b, drain(b, stay))
				request.IDs = []string{seen[len(seen)-1].id}
				publish(b, broker, "channel:a", numbers(1, missed)...)
				b.ReportAllocs()
				for b.Loop() {
					sub, err := h.Subscribe(b.Context(), request)
					if err != nil {
						b.Fatal(err)
					}
					drain(b, sub)
					sub.Close()
				}
			})
		}
	}
}

// BenchmarkEvery reports the time per event for a conflated subscriber that holds the newest events
// of many topics, and their memory.
func BenchmarkEvery(b *testing.B) {
	for _, held := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("held=%d", held), func(b *testing.B) {
			limits := journal.Limits{Events: 4096, Bytes: 4 << 20}
			broker := memory.New(source.Fill{Events: 4096, Bytes: 4 << 20})
			h := hub.New(broker, hub.Options{Node: "n1", History: limits, Linger: time.Hour}, noMetrics{})
			defer h.Close()
			glob, err := event.ParseTopic("channel:a.*")
			if err != nil {
				b.Fatal(err)
			}
			open := func() *hub.Subscription {
				sub, err := h.Subscribe(b.Context(), hub.Request{Topics: []event.Topic{glob}, Every: time.Minute})
				if err != nil {
					b.Fatal(err)
				}
				drain(b, sub)
				return sub
			}
			names := make([]string, held)
			for i := range names {
				names[i] = fmt.Sprintf("a.%d", i)
			}
			payload := strings.Repeat("x", 1000)
			fill := func(subs ...*hub.Subscription) {
				for range 2 {
					for i, name := range names {
						publish(b, broker, "channel:"+name, payload)
						if i%1000 > 0 && i < held-1 {
							continue
						}
						for _, sub := range subs {
							drain(b, sub)
						}
					}
				}
			}
			sub := open()
			defer sub.Close()
			fill(sub)
			next := 0
			b.ReportAllocs()
			for b.Loop() {
				publish(b, broker, "channel:"+names[next%held], payload)
				drain(b, sub)
				next++
			}
			b.StopTimer()
			before := heapInUse()
			second := open()
			fill(sub, second)
			b.ReportMetric(float64(heapInUse())-float64(before), "B/conn")
			second.Close()
		})
	}
}

func heapInUse() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// drain reads all available bytes of a subscription and returns the last batch.
func drain(tb testing.TB, sub *hub.Subscription) (end []byte) {
	tb.Helper()
	for {
		batch, err := sub.Next(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		if len(batch.Bytes) == 0 {
			return end
		}
		end = batch.Bytes
	}
}

// BenchmarkList reports the time to read one event for a client of one shared topic, and for a
// client that also has a topic that no other client follows.
func BenchmarkList(b *testing.B) {
	for _, own := range []bool{false, true} {
		b.Run(fmt.Sprintf("own=%v", own), func(b *testing.B) {
			broker := memory.New(source.Fill{Events: 4096, Bytes: 4 << 20})
			h := hub.New(broker, hub.Options{Node: "n1", History: journal.Limits{Events: 4096, Bytes: 4 << 20}, Linger: time.Hour}, noMetrics{})
			defer h.Close()
			const clients = 1000
			var subs []*hub.Subscription
			for i := range clients {
				topics := []event.Topic{event.Literal(event.Channel, "hot")}
				if own {
					topics = append(topics, event.Literal(event.Channel, fmt.Sprint("own", i)))
				}
				sub, err := h.Subscribe(b.Context(), hub.Request{Topics: topics})
				if err != nil {
					b.Fatal(err)
				}
				defer sub.Close()
				drain(b, sub)
				subs = append(subs, sub)
			}
			payload := strings.Repeat("x", 400)
			b.ReportAllocs()
			for b.Loop() {
				publish(b, broker, "channel:hot", payload)
				for _, sub := range subs {
					if batch, err := sub.Next(b.Context()); err != nil || batch.Frames != 1 {
						b.Fatal(batch.Frames, err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*clients), "ns/delivery")
		})
	}
}
