package metrics_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"sluice/internal/event"
	"sluice/internal/metrics"
)

func newRegistry() *prometheus.Registry {
	return metrics.New().Registry(metrics.Figures{
		Version:      "test",
		Ready:        func() bool { return true },
		Topics:       func() int { return 0 },
		TopicsInUse:  func() int { return 0 },
		MaxTopics:    1,
		JournalBytes: func() int { return 0 },
		KeyBytes:     func() int { return 0 },
		TopicBytes:   func() int { return 0 },
		Reconnects:   func() int64 { return 0 },
	})
}

func TestRegistry_NamesFollowConventions(t *testing.T) {
	t.Parallel()
	families, err := newRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// If a counter appears only with its first event, rate and increase do not count that event.
func TestRegistry_AllLabelsExistAtStart(t *testing.T) {
	t.Parallel()
	want := map[string]int{"sluice_events_total": 3, "sluice_gaps_total": 5, "sluice_rejected_requests_total": 4}
	families, err := newRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n, ok := want[f.GetName()]; ok {
			if len(f.GetMetric()) != n {
				t.Errorf("%s: got %d series, want %d", f.GetName(), len(f.GetMetric()), n)
			}
			delete(want, f.GetName())
		}
	}
	if len(want) > 0 {
		t.Errorf("missing metrics: %v", want)
	}
}

func TestSnapshot_SumsOverKindsAndReasons(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	for _, kind := range event.Kinds {
		m.EventReceived(kind)
	}
	m.GapAnnounced(event.SlowConsumer)
	m.GapAnnounced(event.UnknownCursor)
	m.GapAnnounced("none of them")
	m.Rejected("none of them")
	if s := m.Snapshot(); s.Events != 3 || s.Gaps != 2 {
		t.Errorf("got %d events and %d gaps, want 3 and 2", s.Events, s.Gaps)
	}
}
