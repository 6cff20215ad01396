package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/test/redistest"
)

func TestBench_AcceptsCorrectServer(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	two := []string{"--target", startGateway(t, "--redis-url", redis.URL()), "--target", startGateway(t, "--redis-url", redis.URL()) + "/events/", "--redis-url", redis.URL()}
	embedded := []string{"--target", startGateway(t), "--publish-http"}
	usual := []string{"--subscribers", "30", "--duration", "1s", "--size", "300"}
	for _, test := range []struct {
		name string
		args []string
		want func(result) bool
	}{
		{"two gateways", slices.Concat(two, usual, uniqueTopics("a")), func(r result) bool {
			return len(r.Audit) == 3 && r.Deliveries > 0 && r.Latency.P50 > 0 && r.Latency.Max >= r.Latency.P99
		}},
		{"two gateways, and subscribers that move", slices.Concat(two, usual, uniqueTopics("b"), []string{"--churn", "100ms", "--mixed"}), func(r result) bool {
			return r.Reconnects > 0 && r.Audit["stream"].Gaps == 0
		}},
		{"two gateways, and a storm", slices.Concat(two, usual, uniqueTopics("c"), []string{"--storm", "200ms"}), func(r result) bool {
			return r.StormSeconds > 0 && r.Audit["stream"].Gaps == 0
		}},
		{"an embedded broker", slices.Concat(embedded, usual, []string{"--topics", "channel:d,stream:d"}), func(r result) bool {
			return len(r.Audit) == 2 && r.Published > 0
		}},
		{"slow readers", slices.Concat(embedded, usual, []string{"--topics", "channel:e", "--slow", "10", "--size", "50000"}), func(r result) bool {
			return r.Audit["channel"].Received > 0
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, r, stderr := runBench(t, test.args...)
			if status != exitKept || !r.Kept || r.Behind > 0 || !test.want(r) {
				t.Errorf("status %d, %+v\n%s", status, r, stderr)
			}
		})
	}
}

// uniqueTopics returns topics that no other test uses.
func uniqueTopics(name string) []string {
	return []string{"--topics", "channel:" + name + ",stream:s" + name + ",key:k" + name}
}

func TestBench_PrintsTable(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{
		"--target", startGateway(t), "--publish-http", "--subscribers", "2", "--duration", "100ms", "--topics", "channel:a,stream:b",
	}, &out, &errs)
	for _, want := range []string{"2 on 1 target, 2 topics", "p99.9", "channel", "stream", "wrong gap counts", "The promise was kept"} {
		if status != exitKept || !strings.Contains(out.String(), want) {
			t.Errorf("status %d, no %q in\n%s%s", status, want, out.String(), errs.String())
		}
	}
}

func TestBench_EndsOnSignal(t *testing.T) {
	// The test catches the signal too, so a late signal does not end the test process.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt)
	defer signal.Stop(caught)
	redis := redistest.Start(t)
	target := startGateway(t, "--redis-url", redis.URL())
	client := redis.Client()
	publishing := make(chan struct{})
	go func() {
		defer close(publishing)
		for t.Context().Err() == nil && client.XLen(t.Context(), "bench").Val() < 10 {
			time.Sleep(10 * time.Millisecond)
		}
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Signal(os.Interrupt) // without the signal the test reaches its timeout
		}
	}()
	status, r, stderr := runBench(t, "--target", target, "--redis-url", redis.URL(), "--subscribers", "3", "--duration", "1h")
	<-publishing
	if status != exitKept || r.Behind > 0 || r.Deliveries == 0 {
		t.Errorf("status %d, %+v\n%s", status, r, stderr)
	}
}

func TestBench_Errors(t *testing.T) {
	t.Parallel()
	closed := startGateway(t, "--allow-publish", "channel:*", "--allow-subscribe", "channel:open")
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"no target there", []string{"--target", gone.URL, "--patience", "200ms"}, "only 0 of 500 subscribers could connect: "},
		{"not allowed to subscribe", []string{"--target", closed}, "401 Unauthorized"},
		{"no redis there", []string{"--target", closed, "--topics", "channel:open", "--redis-url", "redis://127.0.0.1:1"}, "publishing to channel:open failed"},
		{"bad redis address", []string{"--redis-url", "http://x"}, "--redis-url: "},
		{"bad target", []string{"--target", "localhost:4000"}, "--target: "},
		{"a glob", []string{"--topics", "channel:*"}, "is a glob"},
		{"a topic twice", []string{"--topics", "channel:a,channel:a"}, "is listed twice"},
		{"a stream and a key of one name", []string{"--topics", "stream:a,key:a"}, "the same key in Redis"},
		{"bad topic", []string{"--topics", "a"}, "--topics: bad topic"},
		{"no subscribers", []string{"--subscribers", "0"}, "--subscribers"},
		{"no rate", []string{"--rate", "0"}, "--rate"},
		{"more slow ones than there are", []string{"--subscribers", "1", "--slow", "2"}, "--slow"},
		{"too large", []string{"--size", "2000000"}, "--size"},
		{"no time", []string{"--duration", "0s"}, "--duration"},
		{"negative churn", []string{"--churn", "-1s"}, "--churn"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, _, stderr := runBench(t, test.args...)
			if status != exitError || !strings.Contains(stderr, test.want) {
				t.Errorf("status %d with %q, want %q", status, stderr, test.want)
			}
		})
	}
}

func TestStallDetector_ReportsAfterPatience(t *testing.T) {
	t.Parallel()
	d := stallDetector{patience: time.Hour}
	for range 2 {
		if d.stalled(0) {
			t.Error("stalled before the patience had passed")
		}
	}
	d.since = time.Now().Add(-2 * time.Hour)
	if !d.stalled(0) {
		t.Error("not stalled after the patience")
	}
	if d.stalled(1) {
		t.Error("stalled after a change")
	}
}

func TestSourceAddresses_OnlyForManyLocalSubscribers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		subscribers int
		targets     []string
		want        bool
	}{
		{20_000, []string{"http://localhost:4000"}, false},
		{20_001, []string{"http://localhost:4000", "http://127.0.0.1:4001"}, true},
		{20_001, []string{"http://localhost:4000", "http://192.0.2.1:4001"}, false},
		{20_001, []string{"https://example.com"}, false},
	} {
		f := flags{Subscribers: test.subscribers, Targets: test.targets}
		source := sourceAddresses(f)
		if (source != nil) != test.want {
			t.Errorf("%d subscribers of %v: got several addresses %v", test.subscribers, test.targets, source != nil)
		}
		if source != nil && (!source().IsLoopback() || source().Equal(source())) {
			t.Errorf("%d subscribers of %v: got addresses %s, %s", test.subscribers, test.targets, source(), source())
		}
	}
}
