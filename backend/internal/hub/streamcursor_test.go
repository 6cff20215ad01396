package hub

import (
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

// Two gateways see the beginning of a life at different times. The cursors of other lives differ.
func TestStreamCursor_SameStart(t *testing.T) {
	t.Parallel()
	now := time.Now()
	zero := source.Position{}
	at := source.Position{ID: event.StreamID{Millis: 5}, Ordinal: 5}
	entry := entryCursor(at, "", []byte("a"))
	first := positionCursor(zero)
	here := startOf(zero, entry, first, now)
	for _, tt := range []struct {
		name  string
		other streamCursor
		want  bool
	}{
		{"its own", here, true},
		{"seen a moment before", startOf(zero, entry, first, now.Add(-time.Second)), true},
		{"seen long before: lives can be between", startOf(zero, entry, first, now.Add(-time.Minute)), false},
		{"seen later", startOf(zero, entry, first, now.Add(time.Minute)), true},
		{"after another entry", startOf(zero, entryCursor(at, "", []byte("b")), first, now), false},
		{"after another ordinal", startOf(zero, positionCursor(source.Position{ID: at.ID, Ordinal: 6}), first, now), false},
		{"at another position", startOf(at, entry, first, now), false},
		{"another one, shortly after", startOf(zero, entry, here, now.Add(time.Second)), false},
		{"another one, long after", startOf(zero, entry, here, now.Add(time.Minute)), true},
		{"no start of a life", positionCursor(zero), false},
	} {
		parsed, ok := parseStreamCursor(tt.other.String())
		if !ok || parsed != tt.other {
			t.Errorf("%s: %q parses to %v, %t", tt.name, tt.other, parsed, ok)
		}
		if got := parsed.isSameStart(here); got != tt.want {
			t.Errorf("%s: isSameStart %t, want %t", tt.name, got, tt.want)
		}
	}
}
