package abuse_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// stat returns a figure of /stats.
func (g *gateway) stat(name string) int {
	g.t.Helper()
	figures := make(map[string]any)
	if err := json.Unmarshal([]byte(g.get("/stats").body), &figures); err != nil {
		g.t.Fatal(err)
	}
	return int(figures[name].(float64))
}

// channels returns a query for the names that begin with a prefix, and a number from first
// to last behind it.
func channels(prefix string, first, last int) string {
	query := make(url.Values)
	for n := first; n <= last; n++ {
		query.Add("channel", fmt.Sprint(prefix, n))
	}
	return "?" + query.Encode()
}

// come follows topics for a moment, as soon as there is room.
func (g *gateway) come(query string) (opened string) {
	g.t.Helper()
	await(g.t, "there is room", func() bool {
		opened = g.send("}\n\n", "GET /events"+query+" HTTP/1.1", "Host: localhost", "Connection: close")
		return strings.Contains(opened, "stream.open")
	})
	return opened
}

// spelling returns the n-th way to write a name: each letter as itself, or as a set that has
// nothing else.
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

func TestAbuse_SpelledGlobsAreOneTopic(t *testing.T) {
	t.Parallel()
	g := start(t)
	inside := g.subscribe("")
	const requests, each = 100, 64
	for i := range requests {
		query := make(url.Values)
		for n := range each {
			query.Add("channel", spelling("updates", i*each+n))
		}
		if opened := g.come("?" + query.Encode()); !strings.Contains(opened, `{"topics":["channel:updates"],`) {
			t.Fatalf("a subscription begins with %.300q", opened)
		}
	}
	if n, err := g.direct.PubSubNumPat(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("%d globs are followed in Redis, %v", n, err)
	}
	if n := g.stat("topics"); n != 1 {
		t.Errorf("%d topics are followed", n)
	}
	g.served("once", inside)
	if n := g.stat("events"); n != 1 {
		t.Errorf("one message is %d events", n)
	}
	for _, query := range []string{"channel=[u]pdates[]", "channel=updates[", "channel=[%C3%BC]"} {
		if a := g.get("/events?" + query); a.status != http.StatusBadRequest || !strings.Contains(a.body, "set") {
			t.Errorf("%s gives %d: %s", query, a.status, a.body)
		}
	}
}

func TestAbuse_ManyNamesUnderAGrantStayWithinMaxTopics(t *testing.T) {
	t.Parallel()
	const most, each = 100, 64
	g := start(t, fmt.Sprint("--max-topics=", most), "--allow-subscribe=channel:*")
	inside := g.subscribe("")
	for i := range 20 {
		g.come(channels("passing.", i*each, i*each+each-1))
		if n := g.stat("topics"); n > most {
			t.Fatalf("%d topics are followed", n)
		}
	}
	g.served("behind those that have left", inside)

	await(t, "those have left", func() bool { return g.stat("connections") == 2 })
	held := g.subscribe(channels("held.", 1, each))
	g.subscribe(channels("held.", each+1, most-1))
	if a := g.get("/events?channel=other"); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("one topic more gives %d: %s", a.status, a.body)
	}
	if a := g.get("/events?channel=other", "Accept", "text/event-stream"); a.status != http.StatusOK || !strings.Contains(a.body, `{"reason":"overloaded"}`) {
		t.Errorf("one topic more gives an EventSource %d: %s", a.status, a.body)
	}
	if n := g.stat("topics"); n != most {
		t.Errorf("%d topics are followed, want %d", n, most)
	}
	if names, err := g.direct.PubSubChannels(t.Context(), "*").Result(); err != nil || len(names) != most+2 { // with those of markers and probes
		t.Errorf("%d channels are followed in Redis, %v", len(names), err)
	}
	g.served("beside those that stay", inside)
	if err := g.direct.Publish(t.Context(), "held.1", "held").Err(); err != nil {
		t.Fatal(err)
	}
	if got := held.next(); got != "held" {
		t.Errorf("who stays gets %q", got)
	}
}
