package delivery

import (
	"testing"
	"time"
)

func TestAlarms_AreDueOnceInOrder(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	a, b, c := new(conn), new(conn), new(conn)
	var all timers
	all.set(a, at(3))
	all.set(b, at(2))
	all.set(c, time.Time{}) // never
	all.set(b, at(9))       // not earlier than before
	all.set(a, at(1))       // earlier than before
	for _, step := range []struct {
		now  int
		want []*conn
	}{{0, nil}, {1, []*conn{a}}, {2, []*conn{b}}, {9, nil}} {
		var got []*conn
		for c := all.due(at(step.now)); c != nil; c = all.due(at(step.now)) {
			got = append(got, c)
		}
		if len(got) != len(step.want) || len(got) > 0 && got[0] != step.want[0] {
			t.Errorf("after %d s: got due %v, want %v", step.now, got, step.want)
		}
	}
	if all.next() != nil {
		t.Error("got a due time after all alarms")
	}
	all.set(a, at(10))
	all.set(c, at(11))
	all.cancel(c)
	if len(all.queue) != 1 {
		t.Error("an ended connection stays in the queue")
	}
	if all.due(at(10)) != a {
		t.Error("an alarm cannot be set again")
	}
}
