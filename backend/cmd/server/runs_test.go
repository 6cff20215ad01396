package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/test/redistest"
)

// post publishes to a topic, and returns the id of a stream's entry.
func (g *gateway) post(query, data string) string {
	g.t.Helper()
	a := g.do(http.MethodPost, "/events?"+query, strings.NewReader(data))
	if a.status != http.StatusOK {
		g.t.Fatalf("a publish to %s gives %d: %s", query, a.status, a.body)
	}
	_, rest, _ := strings.Cut(a.body, `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// addRun publishes a run of n tokens and its end, and returns the ids.
func (g *gateway) addRun(name string, n int) (ids []string) {
	g.t.Helper()
	for i := range n {
		ids = append(ids, g.post("stream="+name, fmt.Sprint("t", i)))
	}
	return append(ids, g.post("stream="+name+"&event=stream.end", `{"ok":true}`))
}

// checkRun checks that frames are the tokens from first to last, and then the end.
func checkRun(t *testing.T, what string, frames []frame, first, last int) {
	t.Helper()
	var want []string
	for i := first; i <= last; i++ {
		want = append(want, fmt.Sprint(" t", i))
	}
	want = append(want, `stream.end {"ok":true}`)
	var got []string
	for _, f := range frames {
		got = append(got, f.name+" "+f.data)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
	if id := frames[len(frames)-1].id; !strings.HasSuffix(id, ".end") {
		t.Errorf("%s: the id of the end is %q", what, id)
	}
}

// checkFinished checks that a request is answered with 204.
func checkFinished(t *testing.T, g *gateway, what, query, id string) {
	t.Helper()
	a := g.do(http.MethodGet, "/events"+query, nil, "Last-Event-ID", id, "Accept", "text/event-stream")
	if a.status != http.StatusNoContent || a.body != "" {
		t.Errorf("%s: a request with the id %q gives %d %q, want 204", what, id, a.status, a.body)
	}
}

func TestRun_EndsOnEachTransport(t *testing.T) {
	t.Parallel()
	overEachTransport(t, func(t *testing.T, g *gateway, _ int) {
		live := g.subscribe("?stream=run")
		if !strings.Contains(live.first.data, `"missing":["stream:run"]`) {
			t.Errorf("stream.open is %s", live.first.data)
		}
		ids := g.addRun("run", 5)
		frames := live.end()
		checkRun(t, "a live viewer", frames, 0, 4)
		g.post("stream=run", "after the end")

		late := g.subscribe("?stream=run&from=start")
		if strings.Contains(late.first.data, "missing") {
			t.Errorf("stream.open is %s", late.first.data)
		}
		checkRun(t, "a late viewer", late.end(), 0, 4)
		resumed := g.subscribe("?stream=run", "Last-Event-ID", ids[2])
		if !resumed.opened.Resumed {
			t.Error("the viewer is not resumed")
		}
		checkRun(t, "a viewer that resumes", resumed.end(), 3, 4)
		checkRun(t, "a viewer from zero", g.subscribe("?stream=run&lastEventId=0").end(), 0, 4)
		checkRun(t, "last=3 stops at the end", g.subscribe("?stream=run&last=3").end(), 4, 4)
		checkRun(t, "a conflated viewer", g.subscribe("?stream=run&from=start&every=60s").end(), 4, 4)
		checkFinished(t, g, "after the end", "?stream=run", frames[5].id)
		checkFinished(t, g, "in the query", "?stream=run&lastEventId="+frames[5].id, "")
	})
}

// The first event of a conflated run goes out at once, the newest token waits for the interval,
// and the end waits for nothing.
func TestRun_EndOvertakesNoInterval(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		s := g.subscribe("?stream=run&every=60s")
		g.post("stream=run", "t0")
		if got := s.next().data; got != "t0" {
			t.Fatalf("the first event is %q", got)
		}
		g.post("stream=run", "t1")
		g.post("stream=run", "t2")
		g.post("stream=run&event=stream.end", `{"ok":true}`)
		checkRun(t, "a conflated viewer", s.end(), 2, 2)
	})
}

func TestRun_WhoseEndIsTheNewestEntryEndsAtOnce(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		for _, args := range [][]string{nil, {"--history-events=1", "--linger=1ms"}} {
			g := start(t, args...)
			ids := g.addRun("run", 3)
			checkRun(t, "a fresh viewer", g.subscribe("?stream=run").end(), 1, 0)
			checkFinished(t, g, "a bare id of the end", "?stream=run", ids[3])
			g.post("stream=run", "after the end")
			eventually(t, "the entry after the end arrives", func() bool {
				return g.subscribe("?stream=run&last=1").next().data == "after the end"
			})
			next := g.subscribe("?stream=run", "Last-Event-ID", ids[3])
			if got := next.next().data; got != "after the end" || !next.opened.Resumed {
				t.Errorf("a bare id of the end is followed by %q; resumed is %v", got, next.opened.Resumed)
			}
		}
	})
}

func TestRun_SeveralTopics(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		g.addRun("a", 2)
		query := "?stream=a&stream=b&channel=c&from=start"
		s := g.subscribe(query)
		frames := []frame{s.next(), s.next(), s.next()}
		checkRunOf := func(what string, frames []frame) {
			t.Helper()
			if frames[0].data != "t0" || frames[2].name != "stream.end" || strings.Count(frames[2].id, ".end") != 1 {
				t.Errorf("%s: %+v", what, frames)
			}
		}
		checkRunOf("one of several topics", frames)
		g.publish("c", "1")
		f := s.next()
		if f.data != "1" || strings.Count(f.id, ".end") != 1 {
			t.Errorf("after the end of a topic: %+v", f)
		}
		s.disconnect()

		again := g.subscribe(query, "Last-Event-ID", f.id)
		if !again.opened.Resumed || strings.Count(again.first.id, ".end") != 1 || !strings.Contains(again.first.data, `"missing":["stream:b"]`) {
			t.Errorf("stream.open is %+v", again.first)
		}
		g.post("stream=b&event=stream.end", "null")
		g.publish("c", "2")
		names := map[string]bool{again.next().data: true, again.next().data: true}
		if !names["null"] || !names["2"] {
			t.Errorf("the other topics have %v", names)
		}

		both := g.subscribe("?stream=a&stream=b", "Last-Event-ID", f.id).end()
		if len(both) != 1 || both[0].name != "stream.end" || strings.Count(both[0].id, ".end") != 2 {
			t.Fatalf("two runs of which one has ended: %+v", both)
		}
		checkFinished(t, g, "both have ended", "?stream=a&stream=b", both[0].id)
		checkFinished(t, g, "one of both", "?stream=a", both[0].id)
		fresh := g.subscribe("?stream=a&stream=b&from=start", "Last-Event-ID", strings.Split(both[0].id, "@")[0]+"@1-1.end")
		if data := fresh.next(); data.name == "stream.close" {
			t.Errorf("a bare id: %+v", data)
		}
		if open := g.subscribe("?stream=a&stream=b&channel=*", "Last-Event-ID", both[0].id); len(open.opened.Topics) != 3 {
			t.Errorf("with a glob: %+v", open.opened)
		}
	})
}

// Two gateways show runs of a master that Sentinel watches, and of a cluster with the runs in
// different slots.
func TestRun_OnSentinelAndCluster(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(t *testing.T) string{
		"sentinel": func(t *testing.T) string { return redistest.StartWatched(t).URL() },
		"cluster":  func(t *testing.T) string { return redistest.StartCluster(t, 3, 0, time.Minute).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flag := "--redis-url=" + url(t)
			one, other := start(t, flag), start(t, flag)
			for _, run := range []string{"run", "run:2", "run:3"} {
				query := "?stream=" + run
				live := one.subscribe(query)
				ids := one.addRun(run, 5)
				frames := live.end()
				checkRun(t, "a live viewer", frames, 0, 4)
				checkRun(t, "a late viewer at the other gateway", other.subscribe(query+"&from=start").end(), 0, 4)
				checkRun(t, "a viewer that resumes there", other.subscribe(query, "Last-Event-ID", frames[2].id).end(), 3, 4)
				checkRun(t, "a viewer with an id of Redis", other.subscribe(query, "Last-Event-ID", ids[2]).end(), 3, 4)
				checkFinished(t, other, "at the other gateway", query, frames[5].id)
			}
			all := other.subscribe("?stream=run&stream=run:2&stream=run:3&from=start").end()
			if len(all) != 18 {
				t.Errorf("three runs in one subscription have %d frames, want 18", len(all))
			}
		})
	}
}

func TestRun_ThatExpired(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		first := g.post("stream=lost&ttl=2s", "t0")
		viewer := g.subscribe("?stream=lost&from=start")
		if got := viewer.data(1); got[0] != "t0" {
			t.Fatalf("got %q", got)
		}
		g.post("stream=run", "t0")
		g.post("stream=run&event=stream.end&ttl=1s", `{"ok":true}`)
		ended := g.subscribe("?stream=run&from=start").end()
		checkRun(t, "before it expires", ended, 0, 0)
		if gap, _ := viewer.gap(); gap.Topic != "stream:lost" || gap.Reason != "source-interrupted" {
			t.Errorf("a viewer that has not met the end: %+v", gap)
		}
		checkFinished(t, g, "after it expired", "?stream=run", ended[1].id)
		lost := g.subscribe("?stream=lost", "Last-Event-ID", first)
		if !strings.Contains(lost.first.data, `"missing":["stream:lost"]`) {
			t.Errorf("stream.open of a run that expired: %s", lost.first.data)
		}
		if gap, _ := lost.gap(); gap.Topic != "stream:lost" {
			t.Errorf("after a run that expired: %+v", gap)
		}
		g.post("stream=lost", "alive")
		if got := viewer.data(1); got[0] != "alive" {
			t.Errorf("the viewer that stayed gets %q", got)
		}
	})
}

// The finished cursor is answered without Redis, and on every node.
func TestRun_FinishedCursorNeedsNoRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g, other := startOn(t, server), startOn(t, server)
	g.addRun("run", 1)
	end := g.subscribe("?stream=run").end()
	checkFinished(t, other, "another node", "?stream=run", end[0].id)
	server.Stop()
	checkFinished(t, other, "without Redis", "?stream=run", end[0].id)
	checkProblem(t, "a bad query", g.do(http.MethodGet, "/events?stream=run&last=x&lastEventId="+end[0].id, nil), http.StatusBadRequest)
}

// A viewer from the start gets no gap for what was trimmed, and one that resumes does.
func TestRun_FromTheStartOfATrimmedStream(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t, "--history-events=8")
	var entries []string
	for i := range 2000 {
		entries = append(entries, fmt.Sprint("t", i))
	}
	pipe := g.direct.Pipeline()
	for _, data := range entries {
		pipe.Do(t.Context(), "XADD", "run", "*", "data", data)
	}
	pipe.Do(t.Context(), "XTRIM", "run", "MAXLEN", "1500")
	pipe.Do(t.Context(), "XADD", "run", "*", "data", `{"ok":true}`, "event", "stream.end")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkRun(t, "from the start", g.subscribe("?stream=run&from=start").end(), 500, 1999)
	s := g.subscribe("?stream=run", "Last-Event-ID", "1-0")
	if gap, _ := s.gap(); gap.Reason != "history-expired" && gap.Reason != "unknown-cursor" {
		t.Errorf("a viewer that resumes: %+v", gap)
	}
}

func TestRun_BadRequests(t *testing.T) {
	t.Parallel()
	g := start(t)
	for what, query := range map[string]string{
		"from and last":       "?stream=a&from=start&last=1",
		"from another place":  "?stream=a&from=end",
		"from without stream": "?channel=a&from=start",
		"from twice":          "?stream=a&from=start&from=start",
	} {
		checkProblem(t, what, g.do(http.MethodGet, "/events"+query, nil), http.StatusBadRequest)
	}
	for what, query := range map[string]string{
		"ttl of a channel":      "?channel=a&ttl=1h",
		"ttl that is too short": "?stream=a&ttl=999ms",
		"ttl that is too long":  "?stream=a&ttl=87601h",
		"ttl without a unit":    "?key=a&ttl=10",
		"ttl twice":             "?key=a&ttl=1h&ttl=1h",
		"end of a key":          "?key=a&event=stream.end",
		"another reserved type": "?stream=a&event=stream.open",
	} {
		checkProblem(t, what, g.do(http.MethodPost, "/events"+query, strings.NewReader("x")), http.StatusBadRequest)
	}
	checkProblem(t, "end in a batch", g.do(http.MethodPost, "/events?stream=a&event=stream.end", strings.NewReader("x\ny\n"), "Content-Type", "application/x-ndjson"), http.StatusBadRequest)
}

func TestTTL_IsSetWithTheWrite(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	ttl := func(name string) float64 {
		t.Helper()
		d, err := g.direct.PTTL(t.Context(), name).Result()
		if err != nil {
			t.Fatal(err)
		}
		return d.Seconds()
	}
	check := func(what, name string, least, most float64) {
		t.Helper()
		if got := ttl(name); got < least || got > most {
			t.Errorf("%s: %s expires in %g s, want %g to %g", what, name, got, least, most)
		}
	}
	g.post("stream=s&ttl=1h", "a")
	check("a stream", "s", 3500, 3600)
	g.post("stream=s", "b")
	check("a publish without ttl", "s", 3500, 3600)
	g.post("key=k&ttl=1h", "a")
	check("a key", "k", 3500, 3600)
	g.post("key=k", "b")
	check("a key that is set again without ttl", "k", -1, 0)
	if a := g.do(http.MethodPost, "/events?stream=b&ttl=1h", strings.NewReader("1\n2\n"), "Content-Type", "application/x-ndjson"); a.status != http.StatusOK {
		t.Errorf("a batch gives %d: %s", a.status, a.body)
	}
	check("a batch", "b", 3500, 3600)
	for range 2 {
		if a := g.do(http.MethodPost, "/events?stream=i&ttl=1h", strings.NewReader("1"), "Idempotency-Key", "x"); a.status != http.StatusOK {
			t.Errorf("an idempotent publish gives %d: %s", a.status, a.body)
		}
		check("an idempotent publish", "i", 1800, 3600)
		g.direct.Expire(t.Context(), "i", 2000e9)
	}
	check("an idempotent retry", "i", 1900, 2000)
}

func TestRun_IDsOfTopicsThatNeedEscapes(t *testing.T) {
	t.Parallel()
	g := start(t)
	name := "run%@é"
	g.addRun(url.QueryEscape(name), 1)
	frames := g.subscribe("?stream=" + url.QueryEscape(name) + "&from=start").end()
	checkRun(t, "the run", frames, 0, 0)
	checkFinished(t, g, "the run", "?stream="+url.QueryEscape(name), frames[1].id)
}

// An end that is too large to be delivered still ends the stream: subscribers receive a gap instead.
func TestRun_WithAnEndThatIsTooLarge(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	live := g.subscribe("?stream=run")
	g.post("stream=run", "t0")
	if err := g.direct.Do(t.Context(), "XADD", "run", "*", "event", "stream.end", "data", strings.Repeat("x", 8<<20+1)).Err(); err != nil {
		t.Fatal(err)
	}
	check := func(what string, s *stream) {
		t.Helper()
		frames := s.end()
		if len(frames) != 2 || frames[0].data != "t0" || frames[1].name != "stream.gap" || !strings.Contains(frames[1].data, "too-large") {
			t.Fatalf("%s: got %+v", what, frames)
		}
		checkFinished(t, g, what, "?stream=run", frames[1].id)
	}
	// A busy machine may need longer to read the entry than the gateway waits.
	late := func(g *gateway, query string) *stream {
		t.Helper()
		for {
			s := g.open(g.client, query)
			if s.first = s.next(); s.first.name != "stream.close" {
				return s
			}
		}
	}
	check("a live viewer", live)
	check("a late viewer", late(g, "?stream=run&from=start"))
	other := startOn(t, g.redis, "--history-events=1")
	g.direct.Do(t.Context(), "XADD", "old", "*", "event", "stream.end", "data", strings.Repeat("x", 8<<20+1))
	g.direct.Do(t.Context(), "XADD", "old", "*", "data", "after")
	if frames := late(other, "?stream=old&from=start").end(); len(frames) != 1 || frames[0].name != "stream.gap" {
		t.Errorf("an end that is replayed: got %+v", frames)
	}
}
