package demo

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

// analyticsTimes runs the feeds for some time and returns the times of the analytics.
func analyticsTimes(t *testing.T, withPast bool, d time.Duration) []time.Time {
	t.Helper()
	var times []time.Time
	publish := func(_ context.Context, topic event.Topic, m source.Message) (event.StreamID, error) {
		if topic.String() != "channel:analytics" {
			return event.StreamID{}, nil
		}
		var count struct{ Time time.Time }
		if err := json.Unmarshal(m.Data, &count); err != nil {
			t.Error(err)
		}
		times = append(times, count.Time)
		return event.StreamID{}, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	Run(ctx, publish, withPast, slog.New(slog.DiscardHandler))
	return times
}

func TestRun_BeginsWithThePast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		times := analyticsTimes(t, true, 1500*time.Millisecond)
		if len(times) != 302 {
			t.Fatalf("got %d events, want 300 from before the start and 2 after it", len(times))
		}
		for i, at := range times {
			if want := start.Add(time.Duration(i-300) * time.Second); !at.Equal(want) {
				t.Fatalf("event %d is of %v, want %v", i, at, want)
			}
		}
	})
}

func TestRun_BeginsNowWithoutThePast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if times := analyticsTimes(t, false, 1500*time.Millisecond); len(times) != 2 || !times[0].Equal(start) {
			t.Errorf("got %v", times)
		}
	})
}
