package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLimits_FullServerKeepsOpenSubscriptions(t *testing.T) {
	t.Parallel()
	g := start(t, "--max-connections=3")
	inside := []*stream{g.subscribe("?channel=a"), g.subscribeWith(newH2C(t), "?channel=a"), g.subscribe("?channel=a&every=10ms")}
	checkRejected(t, g, "?channel=a", "overloaded")
	checkProblem(t, "what will never be allowed", g.get("/events?channel=", "Accept", "text/event-stream"), http.StatusBadRequest)
	if a := g.get("/healthz"); a.status != http.StatusOK {
		t.Errorf("/healthz: got status %d", a.status)
	}
	g.publish("a", "1")
	for _, s := range inside {
		if f := s.next(); f.data != "1" {
			t.Errorf("open subscription: got %+v", f)
		}
	}
	for _, s := range inside {
		s.disconnect()
		eventually(t, "there is room again", func() bool { return g.stat("connections") == 2 })
		g.subscribe("?channel=a")
		checkRejected(t, g, "?channel=a", "overloaded")
	}
}

func TestLimits_FailedSubscriptionIsReleased(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t, "--max-connections=1", "--max-connections-per-ip=1")
	eventually(t, "ready", func() bool { return g.get("/readyz").status == http.StatusOK })
	g.direct.Set(t.Context(), "text", "x", 0)
	for range 3 {
		checkProblem(t, "wrong type", g.get("/events?stream=text"), http.StatusConflict)
	}
	g.subscribe("?channel=a")
	checkRejected(t, g, "?channel=a", "overloaded")
}

func TestLimits_PerAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		trusted       string
		first, second string // values of X-Forwarded-For
		apart         bool   // the two addresses count as different clients
	}{
		{"the same address", "127.0.0.0/8", "203.0.113.1", "203.0.113.1", false},
		{"two addresses", "127.0.0.0/8", "203.0.113.1", "203.0.113.2", true},
		{"the last one counts", "127.0.0.1", "203.0.113.1, 203.0.113.9", "203.0.113.2, 203.0.113.9", false},
		{"the last one that is not a proxy counts", "127.0.0.1,10.0.0.0/8", "203.0.113.9, 203.0.113.1, 10.1.1.1", "203.0.113.9, 203.0.113.2, 10.1.1.2", true},
		{"no proxy is trusted by default", "", "203.0.113.1", "203.0.113.2", false},
		{"an unknown proxy is not trusted", "10.0.0.0/8", "203.0.113.1", "203.0.113.2", false},
		{"an invalid address counts as the proxy", "127.0.0.1", "unknown", "hello, world", false},
		{"one IPv6 site", "127.0.0.1", "2001:db8:1:1::1", "2001:db8:1:1:ffff::2", false},
		{"two IPv6 sites", "127.0.0.1", "2001:db8:1:1::1", "2001:db8:1:2::1", true},
		{"IPv4 and IPv4 in IPv6", "127.0.0.1", "203.0.113.1", "::ffff:203.0.113.1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--max-connections-per-ip=1"}
			if tt.trusted != "" {
				args = append(args, "--trusted-proxies="+tt.trusted)
			}
			g := start(t, args...)
			s := g.subscribe("?channel=a", "X-Forwarded-For", tt.first)
			a := g.open(g.client, "?channel=a", "X-Forwarded-For", tt.second).next()
			if apart := a.name == "stream.open"; apart != tt.apart {
				t.Errorf("second client: got %+v", a)
			}
			s.disconnect()
			eventually(t, "there is room again", func() bool {
				again := g.open(g.client, "?channel=a", "X-Forwarded-For", tt.first)
				return again.next().name == "stream.open"
			})
		})
	}
}

// publishAs publishes with a token, or without one if token is empty.
func publishAs(g *gateway, token, contentType, body string) answer {
	g.t.Helper()
	header := []string{"Content-Type", contentType}
	if token != "" {
		header = append(header, "Authorization", "Bearer "+token)
	}
	return g.do(http.MethodPost, "/events?channel=a", strings.NewReader(body), header...)
}

func TestLimits_PublishRatePerPublisher(t *testing.T) {
	t.Parallel()
	const atOnce = 10 // burst of ten seconds at one event per second
	g := start(t, "--publish-rate=1", "--jwt-secret="+jwtSecret, "--trusted-proxies=127.0.0.1")
	one, two := token(t, newClaims(time.Hour, "channel:a")), token(t, newClaims(2*time.Hour, "channel:a"))
	const lines = "application/x-ndjson"
	taken := 0
	flood := func(token string) answer {
		t.Helper()
		for range 10 * atOnce {
			a := publishAs(g, token, "text/plain", "x")
			if a.status != http.StatusOK {
				return a
			}
			taken++
		}
		t.Fatal("the rate is not limited")
		return answer{}
	}
	for _, publisher := range []string{"", one, two} {
		taken = 0
		a := flood(publisher)
		checkProblem(t, "a flood", a, http.StatusTooManyRequests)
		if n, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || n < 1 {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
		if taken < atOnce {
			t.Errorf("got %d events published, want at least %d", taken, atOnce)
		}
	}
	// Each line counts. A batch that exceeds the burst gets a permanent error.
	batch := func(n int) string { return strings.Repeat("x\n", n) }
	fresh := token(t, newClaims(3*time.Hour, "channel:a"))
	checkProblem(t, "too many lines", publishAs(g, fresh, lines, batch(atOnce+1)), http.StatusRequestEntityTooLarge)
	fresh = token(t, newClaims(4*time.Hour, "channel:a"))
	var got struct{ Published int }
	a := publishAs(g, fresh, lines, batch(atOnce))
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Published != atOnce {
		t.Errorf("a batch: got status %d, body %s", a.status, a.body)
	}
	checkProblem(t, "a batch after a batch", publishAs(g, fresh, lines, batch(atOnce)), http.StatusTooManyRequests)
	// Other publishers and subscribers are not limited.
	if a := g.do(http.MethodPost, "/events?channel=a", strings.NewReader("x"), "X-Forwarded-For", "203.0.113.7"); a.status != http.StatusOK {
		t.Errorf("another address: got status %d", a.status)
	}
	s := g.subscribe("?channel=a")
	eventually(t, "who waits may publish again", func() bool { return publishAs(g, fresh, "text/plain", "later").status == http.StatusOK })
	for s.next().data != "later" {
	}
}
