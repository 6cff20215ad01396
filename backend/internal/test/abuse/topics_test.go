package abuse_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// stat returns a field of /stats.
func (g *gateway) stat(name string) int {
	g.t.Helper()
	figures := make(map[string]any)
	if err := json.Unmarshal([]byte(g.get("/stats").body), &figures); err != nil {
		g.t.Fatal(err)
	}
	return int(figures[name].(float64))
}

// channels returns a query for the channels prefix+first to prefix+last.
func channels(prefix string, first, last int) string {
	query := make(url.Values)
	for n := first; n <= last; n++ {
		query.Add("channel", fmt.Sprint(prefix, n))
	}
	return "?" + query.Encode()
}

// subscribeOnce subscribes as soon as the limit permits, and disconnects after stream.open.
func (g *gateway) subscribeOnce(query string) (opened string) {
	g.t.Helper()
	await(g.t, "there is room", func() bool {
		opened = g.send("}\n\n", "GET /events"+query+" HTTP/1.1", "Host: localhost", "Connection: close")
		return strings.Contains(opened, "stream.open")
	})
	return opened
}

// spelling returns the n-th way to write a name: each letter is itself or a set with one member.
func spelling(name string, n int) string {
	var b strings.Builder
	for _, letter := range name {
		if times := n % 4; times == 0 {
			b.WriteRune(letter)
		} else {
			b.WriteString("[" + strings.Repeat(string(letter), times) + "]")
		}
		n /= 4
	}
	return b.String()
}

func TestAbuse_EqualGlobsAreOneTopic(t *testing.T) {
	t.Parallel()
	g := start(t)
	inside := g.subscribe("")
	const requests, each = 100, 64
	for i := range requests {
		query := make(url.Values)
		for n := range each {
			query.Add("channel", spelling("updates", i*each+n))
		}
		if opened := g.subscribeOnce("?" + query.Encode()); !strings.Contains(opened, `{"topics":["channel:updates"],`) {
			t.Fatalf("got stream.open %.300q", opened)
		}
	}
	if n, err := g.direct.PubSubNumPat(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("got %d globs followed in Redis, error %v", n, err)
	}
	if n := g.stat("topics"); n != 1 {
		t.Errorf("got %d followed topics", n)
	}
	g.served("once", inside)
	if n := g.stat("events"); n != 1 {
		t.Errorf("got %d events for one message", n)
	}
	for _, query := range []string{"channel=[u]pdates[]", "channel=updates[", "channel=[%C3%BC]"} {
		if a := g.get("/events?" + query); a.status != http.StatusBadRequest || !strings.Contains(a.body, "set") {
			t.Errorf("%s: got status %d, body %s", query, a.status, a.body)
		}
	}
}

func TestAbuse_GrantedGlobsKeepMaxTopics(t *testing.T) {
	t.Parallel()
	const most, each = 100, 64
	g := start(t, fmt.Sprint("--max-topics=", most), "--allow-subscribe=channel:*")
	inside := g.subscribe("")
	for i := range 20 {
		g.subscribeOnce(channels("passing.", i*each, i*each+each-1))
		if n := g.stat("topics"); n > most {
			t.Fatalf("got %d followed topics", n)
		}
	}
	g.served("behind those that have left", inside)

	await(t, "those have left", func() bool { return g.stat("connections") == 2 })
	held := g.subscribe(channels("held.", 1, each))
	g.subscribe(channels("held.", each+1, most-1))
	if a := g.get("/events?channel=other"); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("one topic more: got status %d, body %s", a.status, a.body)
	}
	if a := g.get("/events?channel=other", "Accept", "text/event-stream"); a.status != http.StatusOK || !strings.Contains(a.body, `{"reason":"overloaded"}`) {
		t.Errorf("one topic more, EventSource: got status %d, body %s", a.status, a.body)
	}
	if n := g.stat("topics"); n != most {
		t.Errorf("got %d followed topics, want %d", n, most)
	}
	if names, err := g.direct.PubSubChannels(t.Context(), "*").Result(); err != nil || len(names) != most+2 { // with the channels of markers and probes
		t.Errorf("got %d channels followed in Redis, error %v", len(names), err)
	}
	g.served("beside those that stay", inside)
	if err := g.direct.Publish(t.Context(), "held.1", "held").Err(); err != nil {
		t.Fatal(err)
	}
	if got := held.next(); got != "held" {
		t.Errorf("open subscription: got %q", got)
	}
}
