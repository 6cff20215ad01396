//go:build !race

package event_test

import (
	"testing"

	"sluice/internal/event"
)

func TestBudget_EncodeTextAllocatesNothing(t *testing.T) {
	payload := []byte(`{"time":"2026-03-01T12:00:00.000Z","value":7}` + "\nsecond line")
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		buf = event.AppendID(buf[:0], "channel:a@", payload[:4])
		buf = event.AppendBody(buf, "tick", payload)
	}); n > 0 {
		t.Errorf("got %v allocations to encode an event, want 0", n)
	}
}

func TestBudget_MatchGlobAllocatesNothing(t *testing.T) {
	g := event.CompileGlob("price:*:[a-z]*")
	if n := testing.AllocsPerRun(100, func() { g.Match("price:BTC:usd") }); n > 0 {
		t.Errorf("got %v allocations to match a name, want 0", n)
	}
}
