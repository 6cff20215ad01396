package delivery

import (
	"testing"
	"time"
)

func TestExpiry_IsNotLaterThanGiven(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]time.Time{
		"never":            {},
		"now":              time.Now(),
		"in a while":       time.Now().Add(time.Hour),
		"in ages":          time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		"in the past":      time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC),
		"with nanoseconds": time.Unix(1_800_000_000, 123_456_789),
	} {
		got := toExpiry(at).time()
		if got.IsZero() != at.IsZero() || got.After(at) || at.Sub(got) >= time.Millisecond {
			t.Errorf("%s: %s: got %s", name, at, got)
		}
	}
}
