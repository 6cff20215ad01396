package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/internal/test/redistest"
)

func TestPublish_AnswerNamesTopic(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		for _, tt := range []struct{ query, topic string }{
			{"channel=updates", "channel:updates"},
			{"channel=updates&channel=updates", "channel:updates"},
			{`channel=a%5C*b`, `channel:a\*b`},
			{"channel=%C3%BC%20x", "channel:ü x"},
			{"key=price:BTC", "key:price:BTC"},
		} {
			a := g.do(http.MethodPost, "/events?"+tt.query, strings.NewReader("x"))
			var got map[string]any
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
				t.Errorf("%s: got status %d, body %s", tt.query, a.status, a.body)
				continue
			}
			if len(got) != 1 || got["topic"] != tt.topic {
				t.Errorf("%s: got %v, want only the topic %q", tt.query, got, tt.topic)
			}
		}
	})
}

func TestPublish_RejectsInvalidRequests(t *testing.T) {
	t.Parallel()
	g := start(t)
	whole := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		name, query, body string
		status            int
	}{
		{"no topic", "", "x", 400},
		{"two topics", "channel=a&channel=b", "x", 400},
		{"a glob", "channel=a*", "x", 400},
		{"empty name", "channel=", "x", 400},
		{"type on a channel", "channel=a&event=x", "x", 400},
		{"length on a channel", "channel=a&maxlen=5", "x", 400},
		{"a reserved channel", "channel=__sluice__:marks", "x", 403},
		{"a channel that Redis uses", "channel=__keyspace@0__:a", "x", 403},
		{"a key that begins with two underscores", "key=__a", "x", 403},
		{"reserved type", "stream=a&event=stream.open", "x", 400},
		{"reserved type of keys", "stream=a&event=key.deleted", "x", 400},
		{"type open", "stream=a&event=open", "x", 400},
		{"type error", "stream=a&event=error", "x", 400},
		{"type with a line break", "stream=a&event=a%0Ab", "x", 400},
		{"maxlen not a number", "stream=a&maxlen=x", "x", 400},
		{"maxlen twice", "stream=a&maxlen=5&maxlen=x", "x", 400},
		{"type twice", "stream=a&event=x&event=y", "x", 400},
		{"not UTF-8", "channel=a", "a\xffb", 400},
		{"as large as can be", "channel=a", whole, 200},
		{"a byte too much", "channel=a", whole + "x", 413},
		{"much too large", "channel=a", whole + whole + whole, 413},
		{"nothing", "channel=a", "", 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := g.do(http.MethodPost, "/events?"+tt.query, strings.NewReader(tt.body))
			if tt.status != 200 {
				checkProblem(t, tt.name, a, tt.status)
			} else if a.status != 200 {
				t.Errorf("got status %d, body %s", a.status, a.body)
			}
			// Without a Content-Length.
			if tt.status == 413 {
				checkProblem(t, tt.name+", chunked", g.do(http.MethodPost, "/events?"+tt.query, struct{ *strings.Reader }{strings.NewReader(tt.body)}), tt.status)
			}
		})
	}
}

// A client that sends Expect: 100-continue is rejected before it sends the body.
func TestPublish_RejectsLargeBodyBeforeReading(t *testing.T) {
	t.Parallel()
	status := firstStatus(t, start(t), fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", 1<<20+1))
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("got first status %d", status)
	}
}

func TestPublish_TruncatedBodyIsBadRequest(t *testing.T) {
	t.Parallel()
	g := start(t)
	for name, rest := range map[string]string{
		"shorter than it says": "Content-Length: 10\r\n\r\nshort",
		"without its end":      "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
		"not in chunks":        "Transfer-Encoding: chunked\r\n\r\nshort",
	} {
		if status := firstStatus(t, g, rest); status != http.StatusBadRequest {
			t.Errorf("body %s: got status %d", name, status)
		}
	}
}

// firstStatus publishes over a new connection with a given request head and body, and sends nothing
// after them. It returns the first status, which may be 100.
func firstStatus(t *testing.T, g *gateway, rest string) (status int) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(testTimeout))
	fmt.Fprintf(conn, "POST /events?channel=a HTTP/1.1\r\nHost: localhost\r\n%s", rest)
	_ = conn.(*net.TCPConn).CloseWrite()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestPublish_EachLineIsEvent(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		s := g.subscribe("?channel=a")
		a := g.do(http.MethodPost, "/events?channel=a", strings.NewReader("{\"n\":1}\n{\"n\":2}\r\n\n\r\nCR at the end\r\r\n{\"n\":3}"), "Content-Type", "application/x-ndjson")
		var got struct {
			Topic     string
			Published int
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Topic != "channel:a" || got.Published != 4 {
			t.Errorf("got status %d, body %s", a.status, a.body)
		}
		for _, want := range []string{`{"n":1}`, `{"n":2}`, "CR at the end\n", `{"n":3}`} {
			if f := s.next(); f.data != want {
				t.Errorf("got event %+v, want %s", f, want)
			}
		}
	})
}

// The time limit applies to each chunk, so a batch within the size limit never times out.
func TestPublish_BatchOfMaximumSize(t *testing.T) {
	t.Parallel()
	const lines = 1 << 19
	g := startOnRedis(t)
	a := g.do(http.MethodPost, "/events?stream=s", strings.NewReader(strings.Repeat("1\n", lines)), "Content-Type", "application/x-ndjson")
	var got struct{ Published int }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Published != lines {
		t.Errorf("got status %d, body %s", a.status, a.body)
	}
	if info := g.direct.XInfoStream(t.Context(), "s").Val(); info == nil || info.EntriesAdded != lines {
		t.Errorf("got stream %+v, want %d entries", info, lines)
	}
}

func TestPublish_FailedBatchReportsProgress(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	var batch strings.Builder
	var want []string
	for i := range 1000 {
		line := fmt.Sprintf("%0999d", i)
		want = append(want, line)
		batch.WriteString(line + "\n")
	}
	publish := func(body string) (a answer, published *int) {
		a = g.do(http.MethodPost, "/events?stream=s", strings.NewReader(body), "Content-Type", "application/x-ndjson")
		var got struct{ Published *int }
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			t.Fatal(err)
		}
		return a, got.Published
	}
	// Redis has memory for a part of the batch, including commands in transit.
	g.redis.Do("CONFIG", "SET", "maxmemory", usedMemory(g)+1<<20)
	a, published := publish(batch.String())
	checkProblem(t, "a batch that Redis has no room for", a, http.StatusServiceUnavailable)
	if published == nil || *published == 0 || *published >= len(want) {
		t.Fatalf("the problem does not report how many events were published: %s", a.body)
	}
	g.redis.Do("CONFIG", "SET", "maxmemory", 0)
	if a, rest := publish(strings.Join(want[*published:], "\n")); a.status != http.StatusOK || *rest != len(want)-*published {
		t.Errorf("rest of the batch: got status %d, body %s", a.status, a.body)
	}
	var got []string
	for _, entry := range g.direct.XRange(t.Context(), "s", "-", "+").Val() {
		got = append(got, entry.Values["data"].(string))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d entries; want the %d published ones in order", len(got), len(want))
	}
}

// usedMemory returns used_memory of Redis in bytes.
func usedMemory(g *gateway) int {
	g.t.Helper()
	info := g.direct.InfoMap(g.t.Context(), "memory").Val()
	used, err := strconv.Atoi(info["Memory"]["used_memory"])
	if err != nil {
		g.t.Fatal(err)
	}
	return used
}

func TestPublish_ForbiddenByACL(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "default", "-publish", "-xadd")
	g := startOn(t, server)
	for _, topic := range []string{"channel=a", "stream=a"} {
		checkProblem(t, topic, g.do(http.MethodPost, "/events?"+topic, strings.NewReader("x")), http.StatusForbidden)
	}
}
