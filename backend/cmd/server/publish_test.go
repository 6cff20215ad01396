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

func TestPublish_AnswersWithTheTopic(t *testing.T) {
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
				t.Errorf("%s gives %d: %s", tt.query, a.status, a.body)
				continue
			}
			if len(got) != 1 || got["topic"] != tt.topic {
				t.Errorf("%s gives %v, want only the topic %q", tt.query, got, tt.topic)
			}
		}
	})
}

func TestPublish_RefusesWhatCannotBePublished(t *testing.T) {
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
		{"a name of the gateways", "channel=__sluice__:marks", "x", 403},
		{"a channel of Redis", "channel=__keyspace@0__:a", "x", 403},
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
				t.Errorf("gives %d: %s", a.status, a.body)
			}
			// Without a length that is known before.
			if tt.status == 413 {
				checkProblem(t, tt.name+", chunked", g.do(http.MethodPost, "/events?"+tt.query, struct{ *strings.Reader }{strings.NewReader(tt.body)}), tt.status)
			}
		})
	}
}

// A client that asks before it sends is spared sending in vain.
func TestPublish_BodyThatSaysItIsTooLargeIsNotAskedFor(t *testing.T) {
	t.Parallel()
	status := firstAnswer(t, start(t), fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", 1<<20+1))
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("the first answer is %d", status)
	}
}

func TestPublish_BodyThatBreaksOffIsTheClientsFault(t *testing.T) {
	t.Parallel()
	g := start(t)
	for name, rest := range map[string]string{
		"shorter than it says": "Content-Length: 10\r\n\r\nshort",
		"without its end":      "Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
		"not in chunks":        "Transfer-Encoding: chunked\r\n\r\nshort",
	} {
		if status := firstAnswer(t, g, rest); status != http.StatusBadRequest {
			t.Errorf("a body %s gives %d", name, status)
		}
	}
}

// firstAnswer publishes over a connection of its own, with a head and a body written by hand
// and nothing behind them. It returns the first status, even if it is not the final one.
func firstAnswer(t *testing.T, g *gateway, rest string) (status int) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "POST /events?channel=a HTTP/1.1\r\nHost: localhost\r\n%s", rest)
	_ = conn.(*net.TCPConn).CloseWrite()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestPublish_LinesAreEventsEach(t *testing.T) {
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
			t.Errorf("the answer is %d: %s", a.status, a.body)
		}
		for _, want := range []string{`{"n":1}`, `{"n":2}`, "CR at the end\n", `{"n":3}`} {
			if f := s.next(); f.data != want {
				t.Errorf("the event is %+v, want %s", f, want)
			}
		}
	})
}

// The time limit is that of a part of it: no batch that is small enough takes too long.
func TestPublish_BatchMayHaveAsManyLinesAsThereIsRoomFor(t *testing.T) {
	t.Parallel()
	const lines = 1 << 19
	g := startOnRedis(t)
	a := g.do(http.MethodPost, "/events?stream=s", strings.NewReader(strings.Repeat("1\n", lines)), "Content-Type", "application/x-ndjson")
	var got struct{ Published int }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Published != lines {
		t.Errorf("the answer is %d: %s", a.status, a.body)
	}
	if info := g.direct.XInfoStream(t.Context(), "s").Val(); info == nil || info.EntriesAdded != lines {
		t.Errorf("the stream is %+v, want %d entries", info, lines)
	}
}

func TestPublish_BatchThatFailsSaysWhereToGoOn(t *testing.T) {
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
	// Redis has room for a part of it, the commands on their way there included.
	g.redis.Do("CONFIG", "SET", "maxmemory", usedMemory(g)+1<<20)
	a, published := publish(batch.String())
	checkProblem(t, "a batch that Redis has no room for", a, http.StatusServiceUnavailable)
	if published == nil || *published == 0 || *published >= len(want) {
		t.Fatalf("the problem does not say how much of it was published: %s", a.body)
	}
	g.redis.Do("CONFIG", "SET", "maxmemory", 0)
	if a, rest := publish(strings.Join(want[*published:], "\n")); a.status != http.StatusOK || *rest != len(want)-*published {
		t.Errorf("the rest gives %d: %s", a.status, a.body)
	}
	var got []string
	for _, entry := range g.direct.XRange(t.Context(), "s", "-", "+").Val() {
		got = append(got, entry.Values["data"].(string))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the stream has %d entries, or others than were published, or in another order; want %d", len(got), len(want))
	}
}

// usedMemory returns how many bytes Redis uses now.
func usedMemory(g *gateway) int {
	g.t.Helper()
	info := g.direct.InfoMap(g.t.Context(), "memory").Val()
	used, err := strconv.Atoi(info["Memory"]["used_memory"])
	if err != nil {
		g.t.Fatal(err)
	}
	return used
}

func TestPublish_WhatRedisForbidsIsRefusedForGood(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "default", "-publish", "-xadd")
	g := startOn(t, server)
	for _, topic := range []string{"channel=a", "stream=a"} {
		checkProblem(t, topic, g.do(http.MethodPost, "/events?"+topic, strings.NewReader("x")), http.StatusForbidden)
	}
}
