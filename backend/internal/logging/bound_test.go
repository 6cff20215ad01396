package logging_test

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/logging"
	"sluice/internal/test/proctest"
)

func TestBound_LimitsLinesPerMessageAndClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out proctest.Output
		log := slog.New(logging.Bound(slog.NewTextHandler(&out, nil), slog.LevelInfo))
		greedy, modest := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		for range 5000 {
			log.With("node", "n1").Info("subscribed", "client", greedy)
		}
		log.Info("subscribed", "client", modest)
		log.Info("unsubscribed", "client", greedy)
		checkCount(t, &out, "msg=subscribed node=n1 client=192.0.2.1", 100)
		checkCount(t, &out, "msg=subscribed client=192.0.2.2", 1)
		checkCount(t, &out, "msg=unsubscribed client=192.0.2.1", 1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		checkCount(t, &out, `level=WARN msg="log lines suppressed" message=subscribed count=4900`, 1)
		for range 20 {
			log.Info("subscribed", "client", greedy)
		}
		checkCount(t, &out, "msg=subscribed client=192.0.2.1", 10)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		checkCount(t, &out, `msg="log lines suppressed" message=subscribed count=10`, 1)
	})
}

func TestBound_PassesRecordsBelowLevel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out proctest.Output
		next := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})
		log := slog.New(logging.Bound(next, slog.LevelInfo))
		for range 5000 {
			log.Debug("published")
		}
		checkCount(t, &out, "msg=published", 5000)
	})
}

func checkCount(t *testing.T, log *proctest.Output, text string, want int) {
	t.Helper()
	if n := strings.Count(log.String(), text); n != want {
		t.Errorf("got %d lines with %s, want %d", n, text, want)
	}
}
