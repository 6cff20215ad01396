package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// metric returns the value of a series in /metrics. The name includes its labels.
func (g *gateway) metric(series string) float64 {
	g.t.Helper()
	for line := range strings.Lines(g.get(g.admin + "/metrics").body) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				g.t.Fatal(err)
			}
			return value
		}
	}
	g.t.Fatalf("/metrics has no %s", series)
	return 0
}

// awaitMetric waits until a series has a value.
func (g *gateway) awaitMetric(series string, want float64) {
	g.t.Helper()
	eventually(g.t, fmt.Sprint(series, " ", want), func() bool { return g.metric(series) == want })
}

func TestMetrics_CountEventsByKind(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t, "--history-events=1")
		s := g.subscribe("?channel=c&stream=s&key=k")
		s.next() // the key does not exist
		for range 3 {
			for _, topic := range []string{"channel=c", "stream=s"} {
				if a := g.do(http.MethodPost, "/events?"+topic, strings.NewReader("x")); a.status != http.StatusOK {
					t.Fatalf("%d: %s", a.status, a.body)
				}
				s.next()
			}
		}
		g.awaitMetric(`sluice_events_total{kind="channel"}`, 3)
		g.awaitMetric(`sluice_events_total{kind="stream"}`, 3)
		g.awaitMetric(`sluice_events_total{kind="key"}`, 1)
		g.awaitMetric("sluice_deliveries_total", 7)
		g.awaitMetric("sluice_connections", 1)
		g.awaitMetric("sluice_connections_opened_total", 1)
		if g.metric("sluice_delivered_bytes_total") <= 0 || g.metric("sluice_journal_bytes") <= 0 {
			t.Error("got 0 delivered or held events")
		}
		if g.metric("sluice_delivery_latency_seconds_sum") <= 0 {
			t.Error("got no latency sample")
		}

		lost := g.subscribe("?channel=c", "Last-Event-ID", "nonsense")
		lost.disconnect()
		g.awaitMetric(`sluice_gaps_total{reason="unknown-cursor"}`, 1)
		if n := g.metric("sluice_replay_reads_total"); n != 0 {
			t.Errorf("got %v stream reads without a reader", n)
		}
		g.subscribe("?stream=s&last=3")
		if g.metric("sluice_replay_reads_total") < 1 {
			t.Error("got no stream read for a replay that exceeds the journal")
		}
	})
}

func TestMetrics_LatencyOverHTTP2(t *testing.T) {
	t.Parallel()
	g := start(t)
	resp, cancel := g.request(newH2C(t), "?channel=c")
	s := g.read(resp, cancel)
	s.readOpen()
	eventually(t, "a sample", func() bool {
		g.publish("c", "x")
		s.next()
		return g.metric("sluice_delivery_latency_seconds_count") > 0
	})
}

func TestMetrics_Redis(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	g.awaitMetric("sluice_ready", 1)
	if n := g.metric("sluice_redis_reconnects_total"); n != 0 {
		t.Errorf("got %v reconnects at the start, want 0", n)
	}
	eventually(t, "a sample of the lag", func() bool { return g.metric("sluice_redis_lag_seconds_count") > 0 })
	if g.metric("sluice_redis_lag_seconds_sum") <= 0 {
		t.Error("got a round trip of 0 through Redis")
	}
	g.redis.Kill()
	g.awaitMetric("sluice_ready", 0)
	eventually(t, "a subscriber is rejected", func() bool {
		return g.get("/events").status == http.StatusServiceUnavailable
	})
	if g.metric(`sluice_rejected_requests_total{reason="unavailable"}`) < 1 {
		t.Error("the rejection is not counted")
	}
	g.redis.Restart()
	g.awaitMetric("sluice_ready", 1)
	if g.metric("sluice_redis_reconnects_total") < 1 {
		t.Error("the reconnect is not counted")
	}
}

func TestMetrics_StalledClients(t *testing.T) {
	t.Parallel()
	g := start(t, "--write-timeout=5s", "--history-bytes=64MiB")
	g.request(newSmallReader(t), "?channel=a") // The test does not read the response.
	payload := strings.Repeat("x", 100<<10)
	eventually(t, "a stalled client", func() bool {
		g.publish("a", payload)
		return g.metric("sluice_stalled_connections") == 1
	})
	g.awaitMetric("sluice_slow_clients_total", 1)
	g.awaitMetric("sluice_stalled_connections", 0)
}

func TestMetrics_StalledClientsOverHTTP2(t *testing.T) {
	t.Parallel()
	g := start(t, "--write-timeout=1h", "--history-bytes=64MiB")
	_, leave := g.request(newH2C(t), "?channel=a") // The test does not read the response.
	payload := strings.Repeat("x", 100<<10)
	eventually(t, "a stalled client", func() bool {
		g.publish("a", payload)
		return g.metric("sluice_stalled_connections") == 1
	})
	leave()
	g.awaitMetric("sluice_stalled_connections", 0)
}

func TestMetrics_TopicLimit(t *testing.T) {
	t.Parallel()
	g := start(t, "--max-topics=3", "--linger=1h")
	g.subscribe("?channel=stays")
	g.subscribe("?channel=passes").disconnect()
	g.awaitMetric("sluice_topics", 3)
	g.awaitMetric("sluice_topics_in_use", 2) // the default topic and the one with a subscriber
	g.awaitMetric("sluice_max_topics", 3)
	unbounded := start(t, "--max-topics=0")
	if page := unbounded.get(unbounded.admin + "/metrics").body; !strings.Contains(page, "sluice_topics") || strings.Contains(page, "sluice_max_topics") {
		t.Error("got a topic limit, want none")
	}
}
