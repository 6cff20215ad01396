//go:build !race

package journal_test

import (
	"strings"
	"testing"

	"sluice/internal/journal"
)

// Budgets of the hot path. The race detector allocates too, so that they hold without it.

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
		t.Errorf("%v allocations to read 1000 events", n)
	}
}

// An event is copied into a segment that holds hundreds, so that what segments take is
// shared by them, however many subscribers are woken.
func TestBudget_AppendingAllocatesOnlyForSegments(t *testing.T) {
	const events, most = 1000, 0.05 // allocations an event
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
			t.Errorf("with %d subscribers %v allocations to append %d events", subscribers, n, events)
		}
	}
}
