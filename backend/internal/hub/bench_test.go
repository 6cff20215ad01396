package hub_test

import (
	"fmt"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
)

func BenchmarkHub_Resume(b *testing.B) {
	const held = 4096
	for _, lists := range []int{1, 2} {
		for _, missed := range []int{0, 10, 1000} {
			b.Run(fmt.Sprintf("topics=%d/events=%d", lists, missed), func(b *testing.B) {
				broker := source.NewMemory(source.Fill{Events: held, Bytes: 4 << 20})
				h := hub.New(broker, hub.Options{Node: "n1", History: journal.Limits{Events: held, Bytes: 4 << 20}, Linger: time.Hour}, new(counts))
				defer h.Close()
				request := hub.Request{Topics: []event.Topic{event.Literal(event.Channel, "a"), event.Literal(event.Channel, "b")}[:lists]}
				stay, err := h.Subscribe(b.Context(), request)
				if err != nil {
					b.Fatal(err)
				}
				defer stay.Close()
				publish(b, broker, "a", numbers(1, held-missed)...)
				seen := frames(b, drain(b, stay))
				request.IDs = []string{seen[len(seen)-1].id}
				publish(b, broker, "a", numbers(1, missed)...)
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

// drain takes everything that there is for a subscription, and returns the end of it.
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
