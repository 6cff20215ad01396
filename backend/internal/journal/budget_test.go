//go:build !race

package journal_test

import (
	"strings"
	"testing"

	"sluice/internal/journal"
)

// These budgets hold only without the race detector, which allocates too.

func TestBudget_ReadingAllocatesNothing(t *testing.T) {
	j := newFilled(roomy, 1000)
	if n := testing.AllocsPerRun(100, func() {
		for pos := uint64(journal.First); ; {
			b, _ := j.Read(pos)
			if b.Frames == 0 {
				return
			}
			pos = b.Next
		}
	}); n > 0 {
		t.Errorf("got %v allocations to read 1000 events, want 0", n)
	}
}

// An event is copied into a segment that holds hundreds of events. They share its allocations, for
// any number of subscribers.
func TestBudget_AppendAllocatesSegmentsOnly(t *testing.T) {
	const events, most = 1000, 0.05 // allocations per event
	for _, subscribers := range []int{0, 1000} {
		j := newFilled(journal.Limits{Events: 4096, Bytes: 4 << 20}, 10_000)
		for range subscribers {
			j.Watch(make(wakeChannel, 1))
		}
		f := frame(1, strings.Repeat("x", 100))
		n := testing.AllocsPerRun(20, func() {
			for range events {
				j.Append(f)
			}
		})
		if n > events*most {
			t.Errorf("%d subscribers: got %v allocations to append %d events", subscribers, n, events)
		}
	}
}
