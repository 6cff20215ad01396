package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/test/redistest"
)

// checkProblem checks an answer against RFC 9457.
func checkProblem(t *testing.T, what string, a answer, status int) {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: got status %d, want %d, body %.200s", what, a.status, status, a.body)
		return
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("%s: Content-Type is %q", what, got)
	}
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Errorf("%s: %v in %q", what, err, a.body)
		return
	}
	if p.Type == "" || p.Title == "" || p.Detail == "" || p.Status != status {
		t.Errorf("%s: got problem %+v", what, p)
	}
}

func TestEvents_RejectsInvalidQueries(t *testing.T) {
	t.Parallel()
	g := start(t)
	many := make(url.Values)
	for i := range 65 {
		many.Add("channel", fmt.Sprint("c", i))
	}
	for name, query := range map[string]string{
		"empty name":        "channel=",
		"glob on a stream":  "stream=orders.*",
		"control character": "channel=a%0Ab",
		"not UTF-8":         "channel=%FF",
		"name too long":     "channel=" + strings.Repeat("n", 1025),
		"last not a number": "channel=a&last=x",
		"last negative":     "channel=a&last=-1",
		"last too large":    "channel=a&last=1001",
		"last twice":        "channel=a&last=1&last=x",
		"token twice":       "channel=a&access_token=x&access_token=y",
		"every twice":       "channel=a&every=1s&every=2s",
		"last empty":        "channel=a&last=",
		"every not a time":  "channel=a&every=x",
		"every too short":   "channel=a&every=9ms",
		"every too long":    "channel=a&every=61s",
		"every without":     "channel=a&every=5",
		"too many topics":   many.Encode(),
		"bad encoding":      "channel=%zz",
		"semicolons":        "channel=a;channel=b",
	} {
		for _, accept := range []string{"text/event-stream", "*/*"} {
			checkProblem(t, name, g.get("/events?"+query, "Accept", accept), http.StatusBadRequest)
		}
	}
	many.Del("channel")
	for i := range 64 {
		many.Add("channel", fmt.Sprint("c", i))
	}
	many.Add("channel", "c0") // a duplicate, which counts once
	if s := g.subscribe("?" + many.Encode()); len(s.opened.Topics) != 64 {
		t.Errorf("%d topics", len(s.opened.Topics))
	}
}

func TestEvents_AnonymousClientsGetOpenTopics(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	for name, g := range map[string]*gateway{
		"embedded": start(t, "--allow-subscribe=channel:updates,channel:open.*", "--allow-publish=channel:open.in"),
		"redis":    startOn(t, redis, "--allow-subscribe=channel:updates,channel:open.*", "--allow-publish=channel:open.in"),
	} {
		t.Run(name, func(t *testing.T) {
			for _, query := range []string{"channel=updates", "channel=open.x", "channel=open.*", "channel=open.x.?&channel=updates", ""} {
				g.subscribe("?" + query).disconnect()
			}
			for _, query := range []string{
				"channel=secret", "channel=*", "channel=update?", "channel=open*", "channel=updates&channel=secret",
				"key=updates", "stream=updates", "channel=open", `channel=\*`,
			} {
				checkProblem(t, query, g.get("/events?"+query, "Accept", "text/event-stream"), http.StatusUnauthorized)
			}
			post := func(query string) answer {
				return g.do(http.MethodPost, "/events?"+query, strings.NewReader("x"))
			}
			if a := post("channel=open.in"); a.status != http.StatusOK {
				t.Errorf("publishing: got status %d, body %s", a.status, a.body)
			}
			for _, query := range []string{"channel=open.x", "channel=updates", "key=open.in", "stream=open.in"} {
				checkProblem(t, "POST "+query, post(query), http.StatusUnauthorized)
			}
		})
	}
}

func TestEvents_OpenTopicsByDefault(t *testing.T) {
	t.Parallel()
	cfg, err := parseFlags()
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.AllowSubscribe) != 1 || cfg.AllowSubscribe[0].String() != "channel:updates" || len(cfg.AllowPublish) != 0 {
		t.Errorf("open are %v and %v", cfg.AllowSubscribe, cfg.AllowPublish)
	}
	g := start(t, "--allow-subscribe=channel:updates", "--allow-publish=", "--demo")
	g.subscribe("?channel=metrics").disconnect() // a demo topic
	checkProblem(t, "another", g.get("/events?channel=other"), http.StatusUnauthorized)
}

func TestEvents_RejectsOtherMethods(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
		a := g.do(method, "/events", nil)
		if a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: got status %d", method, a.status)
		}
		allow := strings.Split(strings.ReplaceAll(a.header.Get("Allow"), " ", ""), ",")
		slices.Sort(allow)
		if !slices.Equal(allow, []string{"GET", "POST"}) {
			t.Errorf("%s: Allow is %q", method, a.header.Get("Allow"))
		}
		if method != http.MethodHead {
			checkProblem(t, method, a, http.StatusMethodNotAllowed)
		}
	}
	checkProblem(t, "another path", g.get("/nothing"), http.StatusNotFound)
}

func TestEvents_CORS(t *testing.T) {
	t.Parallel()
	const page = "https://app.example.com"
	t.Run("any origin, without credentials", func(t *testing.T) {
		t.Parallel()
		g := start(t)
		s := g.subscribe("?channel=a", "Origin", page)
		if got := s.resp.Header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("Allow-Origin is %q", got)
		}
		if got := s.resp.Header.Get("Access-Control-Allow-Credentials"); got != "" {
			t.Errorf("Allow-Credentials is %q", got)
		}
		// The page must be able to read an error, too.
		if got := g.get("/events?channel=", "Origin", page).header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("Allow-Origin of an error is %q", got)
		}
	})
	t.Run("named origins, with credentials", func(t *testing.T) {
		t.Parallel()
		g := start(t, "--cors-origins="+page+",http://localhost:5173")
		for _, origin := range []string{page, "http://localhost:5173"} {
			s := g.subscribe("?channel=a", "Origin", origin)
			if got := s.resp.Header.Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("Allow-Origin is %q, want %q", got, origin)
			}
			if got := s.resp.Header.Get("Access-Control-Allow-Credentials"); got != "true" {
				t.Errorf("Allow-Credentials is %q", got)
			}
			if got := s.resp.Header.Values("Vary"); !slices.Contains(got, "Origin") {
				t.Errorf("Vary is %q", got)
			}
		}
		a := g.get("/healthz", "Origin", "https://evil.example.com")
		checkProblem(t, "another origin", a, http.StatusForbidden)
		if got := a.header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("another origin gets Allow-Origin %q", got)
		}
	})
	for setting, origin := range map[string]string{
		"HTTPS://App.Example.COM":                      "https://app.example.com",
		"https://app.example.com:443":                  "https://app.example.com",
		"http://[::1]:80":                              "http://[::1]",
		"http://localhost:5173, capacitor://localhost": "capacitor://localhost",
	} {
		t.Run("normalized "+setting, func(t *testing.T) {
			t.Parallel()
			g := start(t, "--cors-origins="+setting)
			if got := g.get("/healthz", "Origin", origin).header.Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("Allow-Origin is %q, want %q", got, origin)
			}
		})
	}
	t.Run("preflight", func(t *testing.T) {
		t.Parallel()
		g := start(t)
		for _, header := range []string{"Authorization", "Last-Event-ID", "Content-Type", "Idempotency-Key", "Cache-Control"} {
			a := g.do(http.MethodOptions, "/events", nil, "Origin", page,
				"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", strings.ToLower(header))
			if a.status/100 != 2 || !strings.Contains(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), strings.ToLower(header)) ||
				!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "POST") {
				t.Errorf("%s: %d with %v", header, a.status, a.header)
			}
		}
	})
}

// checkRejected checks that new subscriptions are rejected: as a stream.close for an EventSource
// and as a status for other clients.
func checkRejected(t *testing.T, g *gateway, query, reason string) {
	t.Helper()
	for _, accept := range []string{"text/event-stream", "text/event-stream, */*;q=0.1", "application/json, Text/Event-Stream;q=0.5"} {
		s := g.open(g.client, query, "Accept", accept)
		if got := s.resp.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("Content-Type is %q", got)
		}
		frames := s.end()
		if len(frames) != 1 || frames[0].name != "stream.close" || frames[0].data != fmt.Sprintf(`{"reason":%q}`, reason) || frames[0].hasID {
			t.Fatalf("Accept %q: got stream %+v", accept, frames)
		}
		if n, err := strconv.Atoi(frames[0].retry); err != nil || n <= 4000 {
			t.Errorf("retry is %q, want more than twice the usual 2000", frames[0].retry)
		}
	}
	for _, accept := range []string{"*/*", "", "application/json", "text/*"} {
		a := g.get("/events"+query, "Accept", accept)
		checkProblem(t, "Accept "+accept, a, http.StatusServiceUnavailable)
		if n, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || n < 1 {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
	}
}

func TestEvents_RedisStartsLater(t *testing.T) {
	t.Parallel()
	redis := redistest.Reserve(t)
	g := startOn(t, redis)
	checkRejected(t, g, "?channel=a", "unavailable")
	a := g.do(http.MethodPost, "/events?channel=a", strings.NewReader("x"))
	checkProblem(t, "POST", a, http.StatusServiceUnavailable)
	if a.header.Get("Retry-After") == "" {
		t.Error("POST: got no Retry-After")
	}
	notReady := g.get("/readyz")
	checkProblem(t, "/readyz", notReady, http.StatusServiceUnavailable)
	if strings.Contains(notReady.body, redis.Addr()) || !strings.Contains(g.log.String(), redis.Addr()) {
		t.Errorf("/readyz exposes the address of Redis: %s", notReady.body)
	}
	if a := g.get("/healthz"); a.status != http.StatusOK {
		t.Errorf("/healthz: got status %d", a.status)
	}
	redis.Restart()
	eventually(t, "ready", func() bool { return g.get("/readyz").status == http.StatusOK })
	s := g.subscribe("?channel=a")
	g.publish("a", "x")
	if f := s.next(); f.data != "x" {
		t.Errorf("got event %+v", f)
	}
}

func TestURLs_HealthReadinessAndStats(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		if a := g.get("/healthz"); a.status != http.StatusOK {
			t.Errorf("/healthz: got status %d", a.status)
		}
		eventually(t, "ready", func() bool { return g.get("/readyz").status == http.StatusOK })

		s := g.subscribe("?channel=a-secret-name")
		other := g.subscribe("?channel=a-secret-name&channel=another-secret-name", "Last-Event-ID", "nonsense")
		g.publish("a-secret-name", "1", "2")
		s.data(2)
		for _, name := range []string{"uptime_seconds", "connections", "topics", "events", "deliveries", "gaps", "slow_clients", "memory_bytes"} {
			if _, ok := g.stats()[name].(float64); !ok {
				t.Errorf("/stats has no field %s: %v", name, g.stats())
			}
		}
		if redis := g.stats()["redis"]; redis != (g.redis != nil) {
			t.Errorf("/stats has redis %v", redis)
		}
		if g.stats()["node"] != s.opened.Node || g.stats()["version"] == "" {
			t.Errorf("/stats has the node %v and the version %v, want %s", g.stats()["node"], g.stats()["version"], s.opened.Node)
		}
		eventually(t, "figures of two connections", func() bool {
			return g.stat("connections") == 2 && g.stat("events") >= 2 && g.stat("deliveries") >= 4 && g.stat("gaps") >= 1
		})
		if n := g.stat("topics"); n < 2 {
			t.Errorf("%d topics", n)
		}
		if a := g.get("/stats"); strings.Contains(a.body, "secret") || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
			t.Errorf("got /stats with Content-Type %s, body %s", a.header.Get("Content-Type"), a.body)
		}
		s.disconnect()
		other.disconnect()
		eventually(t, "no connections", func() bool { return g.stat("connections") == 0 })

		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/goroutine"} {
			if a := g.get(path); a.status != http.StatusNotFound {
				t.Errorf("%s on the public address: got status %d", path, a.status)
			}
			if a := g.get(g.admin + path); a.status != http.StatusOK {
				t.Errorf("%s on the admin address: got status %d", path, a.status)
			}
		}
		a := g.get(g.admin + "/metrics")
		for _, name := range []string{"sluice_events_total", "sluice_deliveries_total", "sluice_connections", "sluice_gaps_total", "go_goroutines"} {
			if !strings.Contains(a.body, "\n"+name) {
				t.Errorf("/metrics has no %s", name)
			}
		}
		if strings.Contains(a.body, "secret") {
			t.Error("/metrics has a topic's name")
		}
		if a := g.get(g.admin + "/events"); a.status != http.StatusNotFound {
			t.Errorf("/events on the admin address: got status %d", a.status)
		}
	})
}

// A health check with HEAD gets the status of GET without a body.
func TestHealth_HeadHasStatusOfGet(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	eventually(t, "ready", func() bool { return g.get("/readyz").status == http.StatusOK })
	head := func(path string, want int) {
		t.Helper()
		if a := g.do(http.MethodHead, path, nil); a.status != want || a.body != "" {
			t.Errorf("HEAD %s: got status %d with the body %q, want %d", path, a.status, a.body, want)
		}
	}
	head("/healthz", http.StatusOK)
	head("/readyz", http.StatusOK)
	g.redis.Stop()
	eventually(t, "not ready", func() bool { return g.get("/readyz").status == http.StatusServiceUnavailable })
	head("/healthz", http.StatusOK)
	head("/readyz", http.StatusServiceUnavailable)
	for _, path := range []string{"/stats", "/events"} {
		head(path, http.StatusMethodNotAllowed)
	}
}
