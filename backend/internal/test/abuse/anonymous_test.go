package abuse_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// These tests check what a client without a token can do with default settings.

func TestAnonymous_ReadsUpdatesOnly(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, query := range []string{"", "?channel=updates", "?channel=updates&last=1000", `?channel=\updates`} {
		s := g.subscribe(query)
		g.served("for everybody", s)
	}
	for _, query := range []string{
		"channel=secret", "channel=*", "channel=update?", "channel=updates*", "channel=[uU]pdates", `channel=updates\*`, "channel=Updates",
		"channel=updates&channel=secret", "stream=updates", "key=updates", "key=*", "stream=secret&last=1000",
		"channel=secret&access_token=", "channel=secret&access_token=eyJhbGciOiJub25lIn0.e30.", "channel=updates%20", "channel=secret&lastEventId=0-0",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			a := g.do(method, "/events?"+query, nil, "Accept", "text/event-stream", "X-Forwarded-For", "127.0.0.1", "Cookie", "sluice_token=x", "Origin", "http://localhost")
			if a.status != http.StatusUnauthorized && a.status != http.StatusBadRequest && a.status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: got status %d, body %.200s", method, query, a.status, a.body)
			}
		}
	}
}

func TestAnonymous_CannotWrite(t *testing.T) {
	t.Parallel()
	g := start(t)
	all := g.direct.PSubscribe(t.Context(), "[^_]*") // all channels except markers
	defer all.Close()
	if _, err := all.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"channel=updates", "stream=updates", "key=updates", "channel=secret", "key=a&access_token=x", "stream=a&maxlen=1", "", "channel=*"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "XADD"} {
			a := g.do(method, "/events?"+query, strings.NewReader("x"), "Content-Type", "application/x-ndjson", "Idempotency-Key", "1")
			if a.status < 400 || a.status >= 500 {
				t.Errorf("%s %s: got status %d, body %.200s", method, query, a.status, a.body)
			}
		}
	}
	if n, err := g.direct.DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("got %d keys in Redis, error %v", n, err)
	}
	if err := g.direct.Publish(t.Context(), "the end", "").Err(); err != nil {
		t.Fatal(err)
	}
	m, err := all.ReceiveMessage(t.Context())
	if err != nil || m.Channel != "the end" {
		t.Errorf("got a publish: %v, error %v", m, err)
	}
}

func TestAnonymous_CannotListTopics(t *testing.T) {
	t.Parallel()
	const name = "confidential"
	g := start(t, "--allow-subscribe=channel:updates,channel:"+name+".open", "--default-topics=channel:updates")
	g.direct.Set(t.Context(), name+":key", "x", 0)
	g.direct.XAdd(t.Context(), &redis.XAddArgs{Stream: name + ":stream", Values: []string{"data", "x"}})
	g.subscribe("?channel=" + name + ".open")
	told := func(what string, a answer) {
		t.Helper()
		header := fmt.Sprint(a.header)
		if strings.Contains(a.body+header, name) {
			t.Errorf("%s contains a name: %s %s", what, header, a.body)
		}
	}
	for _, path := range []string{
		"/", "/stats", "/healthz", "/readyz", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/vars", "/events/", "/EVENTS", "/.env",
		"/events?channel=con*", "/events?channel=*", "/events?key=*", "/events?stream=con*", "/events?channel=other", "/events?last=x", "/events?channel=",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions, http.MethodTrace} {
			told(method+" "+path, g.do(method, path, nil, "Origin", "http://localhost", "Access-Control-Request-Method", "GET"))
		}
	}
	// The response is the same for existing and missing topics.
	for _, kind := range []string{"key", "stream", "channel"} {
		there, not := g.get("/events?"+kind+"="+name+":"+kind), g.get("/events?"+kind+"=nothing_like_:"+kind)
		there.body, not.body = strings.ReplaceAll(there.body, name, "…"), strings.ReplaceAll(not.body, "nothing_like_", "…")
		for _, a := range []answer{there, not} {
			a.header.Del("Date")
			a.header.Del("Content-Length") // the names have different lengths
		}
		if there.status != not.status || there.body != not.body || fmt.Sprint(there.header) != fmt.Sprint(not.header) {
			t.Errorf("existing %s: got %+v; missing: got %+v", kind, there, not)
		}
	}
}

// Redis can publish the names of keys in notification channels. A grant of all channels does not
// cover those.
func TestAnonymous_CannotReadNotifications(t *testing.T) {
	t.Parallel()
	g := start(t, "--allow-subscribe=channel:*")
	if err := g.direct.ConfigSet(t.Context(), "notify-keyspace-events", "KEA").Err(); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"__keyspace@0__:*", "__keyspace@0__:secret", "__keyevent@0__:set", "__keyspace@*", "[_]_keyspac[e]@*", `\__keyevent@?__:*`, "*&channel=__keyevent@0__:*",
		"__subkeyspace@0__:user:42", "__*", "_[_]*", "__sluice__:*", "__key",
	} {
		if a := g.get("/events?channel=" + query); a.status != http.StatusUnauthorized {
			t.Errorf("%s: got status %d, body %.200s", query, a.status, a.body)
		}
	}
	if a := g.get("/events?channel=[_]_sluice__:marks"); a.status != http.StatusBadRequest {
		t.Errorf("the gateways' own channel: got status %d, body %.200s", a.status, a.body)
	}
	all := []*subscriber{}
	for _, query := range []string{"*", "?[_-z]key*", "*[a-z]"} {
		all = append(all, g.subscribe("?channel="+query))
	}
	if err := g.direct.Set(t.Context(), "secret", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, m := range [][2]string{{"__key", "reserved"}, {"_xkey", "nothing else"}} {
		if err := g.direct.Publish(t.Context(), m[0], m[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range all {
		if got := s.next(); got != "nothing else" {
			t.Errorf("subscriber %d: got %q", i, got)
		}
	}
}

func TestNotifications_RequireAllKeys(t *testing.T) {
	t.Parallel()
	g := start(t, "--allow-subscribe=channel:*,key:*")
	if err := g.direct.ConfigSet(t.Context(), "notify-keyspace-events", "KEA").Err(); err != nil {
		t.Fatal(err)
	}
	all := []*subscriber{}
	for _, query := range []string{"__keyspace@0__:*", "__keyspace@0__:known", "__keyspace@*"} {
		all = append(all, g.subscribe("?channel="+query))
	}
	if err := g.direct.Set(t.Context(), "known", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		if got := s.next(); got != "set" {
			t.Errorf("subscriber %d: got %q", i, got)
		}
	}
	for _, list := range []string{"channel:*,key:a*", "channel:*,stream:*"} {
		g := start(t, "--allow-subscribe="+list)
		if a := g.get("/events?channel=__keyspace@0__:a"); a.status != http.StatusUnauthorized {
			t.Errorf("with %s: got status %d, body %.200s", list, a.status, a.body)
		}
	}
}

func TestAnonymous_RequestsDoNotLoadRedis(t *testing.T) {
	t.Parallel()
	g := start(t)
	before := g.commands()
	for i := range 200 {
		g.get(fmt.Sprintf("/events?channel=%d&stream=%d&key=%d*", i, i, i))
		g.do(http.MethodPost, fmt.Sprintf("/events?key=%d", i), strings.NewReader("x"))
		g.send("stream.open", "GET /events HTTP/1.1", "Host: localhost", "Last-Event-ID: "+fmt.Sprint(i))
	}
	after := g.commands()
	// Commands of the gateway itself and of new connections.
	own := []string{"publish", "ping", "info", "time", "hello", "client|setinfo", "client|maint_notifications"}
	for name, n := range after {
		if !slices.Contains(own, name) && n > before[name] {
			t.Errorf("got %[2]d calls of %[1]s for 600 requests", name, n-before[name])
		}
	}
	if n := after["publish"] - before["publish"]; n > 100 {
		t.Errorf("got %d publishes of the gateway", n)
	}
	clients, err := g.direct.ClientList(t.Context()).Result()
	if n := strings.Count(clients, "\n"); err != nil || n > 20 {
		t.Errorf("got %d connections to Redis, error %v", n, err)
	}
	g.served("after that")
}

func TestAnonymous_ReadyzDoesNotLoadRedis(t *testing.T) {
	t.Parallel()
	g := start(t)
	before, began := g.commands()["ping"], time.Now()
	const requests = 1000
	for range requests {
		if a := g.get("/readyz"); a.status != http.StatusOK {
			t.Fatalf("/readyz: got status %d, body %s", a.status, a.body)
		}
	}
	asked, atMost := g.commands()["ping"]-before, 20*int(time.Since(began)/time.Second+1)
	if asked > atMost {
		t.Errorf("%d requests: got %d calls of Redis, want at most %d", requests, asked, atMost)
	}
}

// commands returns how often Redis has executed each command.
func (g *gateway) commands() map[string]int {
	g.t.Helper()
	counts := make(map[string]int)
	for name, text := range g.direct.InfoMap(g.t.Context(), "commandstats").Val()["Commandstats"] {
		var n int
		if _, err := fmt.Sscanf(text, "calls=%d,", &n); err != nil {
			g.t.Fatal(err)
		}
		counts[strings.TrimPrefix(name, "cmdstat_")] = n
	}
	return counts
}

// A client that does not read costs only its position in the shared journal.
func TestAnonymous_CannotExhaustMemory(t *testing.T) {
	t.Parallel()
	g := start(t, "--write-timeout=1m")
	inside := g.subscribe("")
	g.hang(160, "GET /events?channel=updates&last=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	const messages, size = 200, 256 << 10
	payload := strings.Repeat("x", size)
	most := 0
	for i := range messages {
		if err := g.direct.Publish(t.Context(), "updates", payload).Err(); err != nil {
			t.Fatal(err)
		}
		if got := inside.next(); got != payload {
			t.Fatalf("want message %d, got %.100q", i, got)
		}
		if i%20 == 0 {
			most = max(most, g.stats().Memory)
		}
	}
	// A queue for each client would need 8 GiB.
	if most > 256<<20 {
		t.Errorf("got %d MiB for 160 stalled clients", most>>20)
	}
}

// A large message is in memory once, although no client has received all of it.
func TestAnonymous_LargeMessageIsHeldOnce(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{"one topic": "channel=updates", "own lists": "channel=updates&stream=orders"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const clients, size = 24, 8<<20 - 1<<10
			g := start(t, "--write-timeout=5m", "--allow-subscribe=channel:updates,stream:orders")
			inside := g.subscribe("?" + query)
			g.hang(clients, "GET /events?"+query+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
			await(t, "all are subscribed", func() bool { return g.Connections() == clients+1 })
			payload := strings.Repeat("x", size)
			if err := g.direct.Publish(t.Context(), "updates", payload).Err(); err != nil {
				t.Fatal(err)
			}
			if got := inside.next(); got != payload {
				t.Fatalf("got %.100q", got)
			}
			await(t, "all have a part of it", func() bool { return g.stat("deliveries") > clients })
			if got := g.heap(); got > 8*size {
				t.Errorf("got %d MiB for a message of 8 MiB to %d clients", got>>20, clients)
			}
		})
	}
}

func TestAnonymous_CannotReachAdminAddress(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline"} {
		if a := g.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s: got status %d", path, a.status)
		}
	}
	if !slices.ContainsFunc(strings.Fields(g.Log()), func(word string) bool { return strings.HasPrefix(word, "admin=127.0.0.1:") }) {
		t.Errorf("got log %s", g.Log())
	}
}
