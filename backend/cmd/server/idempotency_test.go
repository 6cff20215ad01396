package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/test/redistest"
)

// idempotent publishes with an idempotency key, and a token unless that is empty.
func (g *gateway) idempotent(key, query, data, token string, header ...string) answer {
	g.t.Helper()
	header = append(header, "Idempotency-Key", key)
	if token != "" {
		header = append(header, "Authorization", "Bearer "+token)
	}
	return g.do(http.MethodPost, "/events?"+query, strings.NewReader(data), header...)
}

var ndjson = []string{"Content-Type", "application/x-ndjson"}

func subjectToken(t *testing.T, subject string) string {
	t.Helper()
	c := newClaims(time.Hour)
	c.Subject = subject
	c.ID = fmt.Sprint(time.Now().UnixNano()) // so two tokens of one subject differ
	return token(t, c)
}

// idempotencyArgs allow requests without a token to publish to all streams.
var idempotencyArgs = []string{"--allow-subscribe=stream:*", "--default-topics=stream:s", "--allow-publish=stream:*,channel:*,key:*", "--jwt-secret=" + jwtSecret}

func TestIdempotencyKey_RejectsDifferentRequest(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t, idempotencyArgs...)
		first := g.idempotent("k", "stream=s&event=a", "x", "")
		if retry := g.idempotent("k", "stream=s&event=a", "x", ""); first.status != http.StatusOK || retry.body != first.body {
			t.Errorf("retry: got %d %s, want %s", retry.status, retry.body, first.body)
		}
		checkProblem(t, "other data", g.idempotent("k", "stream=s&event=a", "y", ""), http.StatusUnprocessableEntity)
		checkProblem(t, "another event", g.idempotent("k", "stream=s&event=b", "x", ""), http.StatusUnprocessableEntity)
		checkProblem(t, "no event", g.idempotent("k", "stream=s", "x", ""), http.StatusUnprocessableEntity)
		checkProblem(t, "as a batch", g.idempotent("k", "stream=s&event=a", "x", "", ndjson...), http.StatusUnprocessableEntity)
		for _, query := range []string{"channel=s", "key=s"} {
			checkProblem(t, query, g.idempotent("k", query, "x", ""), http.StatusBadRequest)
		}
		checkProblem(t, "an empty key", g.idempotent("", "stream=s", "x", ""), http.StatusBadRequest)
	})
}

func TestIdempotencyKey_BelongsToPublisher(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t, idempotencyArgs...)
		ids := make(map[string]string)
		for name, publish := range map[string][2]string{ // two requests of each publisher
			"anonymous":           {},
			"alice":               {subjectToken(t, "alice"), subjectToken(t, "alice")},
			"bob":                 {subjectToken(t, "bob"), subjectToken(t, "bob")},
			"without a subject":   {subjectToken(t, ""), subjectToken(t, "")},
			"named like a scope":  {subjectToken(t, "false"), subjectToken(t, "false")},
			"with quotes, spaces": {subjectToken(t, `" "k`), subjectToken(t, `" "k`)},
		} {
			first := g.idempotent("k", "stream=s", "x of "+name, publish[0])
			again := g.idempotent("k", "stream=s", "x of "+name, publish[1])
			if first.status != http.StatusOK || first.body != again.body {
				t.Errorf("%s: got %d %s and %d %s, want the same answer", name, first.status, first.body, again.status, again.body)
			}
			if other, ok := ids[first.body]; ok {
				t.Errorf("%s and %s share the answer %s", name, other, first.body)
			}
			ids[first.body] = name
		}
	})
}

func TestIdempotencyKey_CoversWholeBatch(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t, idempotencyArgs...)
		lines := func(n int) string { return strings.Repeat("line\n", n) }
		// 256 lines are one chunk. The other batches begin with the same chunk or with a shorter
		// one.
		for range 2 {
			a := g.idempotent("k", "stream=s", lines(256), "", ndjson...)
			if a.status != http.StatusOK || !strings.Contains(a.body, `"published":256`) {
				t.Errorf("batch: got status %d, body %s", a.status, a.body)
			}
		}
		for _, n := range []int{1, 255, 257, 600} {
			checkProblem(t, fmt.Sprint(n, " lines"), g.idempotent("k", "stream=s", lines(n), "", ndjson...), http.StatusUnprocessableEntity)
		}
		s := g.subscribe("?stream=s&last=1000")
		defer s.disconnect()
		g.add("stream=s", "the end")
		n := 0
		for s.next().data != "the end" {
			n++
		}
		if n != 256 {
			t.Errorf("the stream has %d lines, want 256", n)
		}
	})
}

func TestIdempotencyKey_BatchRetryAddsRest(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	var batch strings.Builder
	const lines = 900
	for i := range lines {
		fmt.Fprintf(&batch, "%0999d\n", i)
	}
	g.redis.Do("CONFIG", "SET", "maxmemory", usedMemory(g)+1<<20)
	a := g.idempotent("k", "stream=s", batch.String(), "", ndjson...)
	var got struct{ Published int }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusServiceUnavailable {
		t.Fatalf("batch that exceeds the memory of Redis: got status %d, body %s", a.status, a.body)
	}
	g.redis.Do("CONFIG", "SET", "maxmemory", 0)
	if n := g.direct.XLen(t.Context(), "s").Val(); n != int64(got.Published) || n == 0 || n == lines {
		t.Errorf("got %d entries in the stream, the answer reports %d", n, got.Published)
	}
	checkProblem(t, "another batch", g.idempotent("k", "stream=s", "x\n", "", ndjson...), http.StatusUnprocessableEntity)
	if a := g.idempotent("k", "stream=s", batch.String(), "", ndjson...); a.status != http.StatusOK {
		t.Errorf("the retry: got status %d, body %s", a.status, a.body)
	}
	entries := g.direct.XRange(t.Context(), "s", "-", "+").Val()
	if len(entries) != lines || entries[lines-1].Values["data"] != fmt.Sprintf("%0999d", lines-1) {
		t.Errorf("the stream has %d entries, want %d in order", len(entries), lines)
	}
}

// If several requests publish different data under one key at the same time, one entry is added.
func TestIdempotencyKey_ConcurrentRequestsOnTwoNodes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	nodes := []*gateway{startOn(t, server), startOn(t, server)}
	const requests = 12
	statuses := make([]int, requests)
	var running sync.WaitGroup
	for i := range requests {
		running.Go(func() { statuses[i] = nodes[i%2].idempotent("k", "stream=s", fmt.Sprint(i/2), "").status })
	}
	running.Wait()
	succeeded := 0
	for _, status := range statuses {
		switch status {
		case http.StatusOK:
			succeeded++
		case http.StatusUnprocessableEntity:
		default:
			t.Errorf("publish: got status %d", status)
		}
	}
	if n := nodes[0].direct.XLen(t.Context(), "s").Val(); n != 1 || succeeded != 2 {
		t.Errorf("%d entries were added, want 1; %d requests succeeded, want the 2 of one body", n, succeeded)
	}
}

func TestMaxLen_RequiresToken(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t, idempotencyArgs...)
		a := g.do(http.MethodPost, "/events?stream=s&maxlen=1", strings.NewReader("x"))
		checkProblem(t, "without a token", a, http.StatusUnauthorized)
		if a.header.Get("WWW-Authenticate") == "" {
			t.Error("the 401 has no WWW-Authenticate")
		}
		checkProblem(t, "not a number, without a token", g.do(http.MethodPost, "/events?stream=s&maxlen=x", strings.NewReader("x")), http.StatusBadRequest)
		bearer := "Bearer " + subjectToken(t, "alice")
		g.add("stream=s&maxlen=5", "x", "Authorization", bearer)
	})
}

// Earlier versions trimmed to 10,000 entries by default.
func TestMaxLen_DefaultDoesNotTrim(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	const entries = 20_000
	for range 2 {
		g.do(http.MethodPost, "/events?stream=s", strings.NewReader(strings.Repeat("x\n", entries/2)), ndjson...)
	}
	g.add("stream=s", "x")
	g.add("stream=s", "x", "Idempotency-Key", "k")
	if n := g.direct.XLen(t.Context(), "s").Val(); n != entries+2 {
		t.Errorf("the stream has %d entries, want %d", n, entries+2)
	}
}
