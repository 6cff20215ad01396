package pubsub

import (
	"log/slog"
	"testing"
	"time"

	"sluice/internal/test/redistest"
)

// Messages of many MiB delay the probes after them. As long as they arrive, the connection works.
func TestProbe_ReplacesSilentConnections(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	for _, tt := range []struct {
		name            string
		missing, silent time.Duration
		replaced        bool
	}{
		{"a new probe", time.Second, time.Hour, false},
		{"a silent connection", probePatience + time.Second, probePatience + time.Second, true},
		{"a busy connection", probePatience + time.Second, time.Second, false},
		{"a connection that is busy for too long", busyPatience + time.Second, 0, true},
	} {
		replaced := false
		heard := func() time.Time { return time.Now().Add(-tt.silent) }
		p := newProbe(client, "probe", func() { replaced = true }, heard, func(time.Duration) {}, slog.New(slog.DiscardHandler))
		p.asked = time.Now().Add(-tt.missing)
		p.send(t.Context())
		if replaced != tt.replaced {
			t.Errorf("%s: replaced is %v, want %v", tt.name, replaced, tt.replaced)
		}
	}
}
