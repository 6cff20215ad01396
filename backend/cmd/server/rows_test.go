package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/test/redistest"
)

// This list names the tests for the rows of sections 1 to 3 of the contract about streams, keys,
// several topics, every= and publishing:
//
//	§1 stream: entries, types, ids        source TestRedisStream_EntriesBecomeEvents, TestStreams_RedisClientsCanAdd
//	§1 stream after a lost connection     hub TestStream_ResumesFromRetainedIDs, TestStream_OlderThanOldestIsGap
//	§1 key: values, deletions             source TestRedisKey_ValuesOfAllTypes, TestRedisKey_EveryChangeIsEvent
//	§1 key: no event for the same value   source TestRedisKey_UnchangedValueIsNotEvent
//	§1 key after a lost connection        hub TestKey_ResumeSendsChangedValue
//	§1 overlapping topics                 TestOverlap_EachTopicDeliversCopy
//	§1 reserved types                     TestRedisStream_EntriesBecomeEvents, TestPublish_RejectsInvalidRequests
//	§2 last=                              hub TestStream_LastSendsNewestEntries, TestEvents_LastSendsRecentEvents
//	§2 every=                             hub TestConflation_*, TestEvery_*, TestEvery_BurstEndsWithNewest
//	§2 ids                                TestIDs_ArePercentEncoded
//	§2 gap on a key glob                  hub TestKeyGlob_ResumeOnOtherNodeSendsAllValues
//	§2 the promise, on any node           hub TestChannel_CursorsHoldOnAllNodes, TestMixed_CursorResumesAllKinds
//	§2 400: glob on a stream, bounds      TestEvents_RejectsInvalidQueries
//	§2 a cursor that cannot be read       hub TestCursor_HostileIsGapAndNotEchoed, TestCursor_QueryCannotInjectFields
//	§3 one literal topic, 413, types      TestPublish_RejectsInvalidRequests
//	§3 maxlen                             TestPublish_WritesPlainRedisValues
//	§3 Idempotency-Key                    source streamIdempotency*, TestIdempotencyKey_*, TestPublish_IdempotencyKeyOnAllServers
//	§3 NDJSON                             TestPublish_LinesToEachKind

func TestIDs_ArePercentEncoded(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		for _, tt := range []struct{ name, encoded string }{
			{"plain:1.x", "plain:1.x"},
			{"50%", "50%25"},
			{"me@home", "me%40home"},
			{"a b", "a%20b"},
			{"grün🚀", "gr%C3%BCn%F0%9F%9A%80"},
			{"%40", "%2540"},
			{"q?&=,;+", "q%5C?&=,;+"}, // topics write a literal question mark as \?
		} {
			for _, kind := range []string{"channel", "stream", "key"} {
				// A key and a stream with one name would be one key of Redis.
				pattern := kind + strings.ReplaceAll(tt.name, "?", `\?`)
				wanted := kind + strings.ReplaceAll(tt.encoded, "%5C", `\`)
				query := "?channel=other&" + kind + "=" + url.QueryEscape(pattern)
				s := g.subscribe(query)
				data := kind + " " + tt.name
				a := g.do(http.MethodPost, "/events?"+kind+"="+url.QueryEscape(pattern), strings.NewReader(data))
				if a.status != http.StatusOK {
					t.Fatalf("publishing: got status %d, body %s", a.status, a.body)
				}
				f := s.next()
				for f.name == "key.deleted" {
					f = s.next()
				}
				if f.data != data || !strings.HasPrefix(f.id, kind+":"+wanted+"@") {
					t.Errorf("%s of %q: the id is %q, want %s:%s@…", kind, tt.name, f.id, kind, wanted)
				}
				s.disconnect()
				back := g.subscribe(query, "Last-Event-ID", f.id)
				if !back.opened.Resumed {
					t.Errorf("%s of %q: the id %q does not resume", kind, tt.name, f.id)
				}
				back.disconnect()
			}
		}
	})
}

func TestOverlap_EachTopicDeliversCopy(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		s := g.subscribe("?key=k:*&key=k:1&key=k:%3F&stream=s&stream=s&channel=s")
		g.do(http.MethodPost, "/events?key=k:1", strings.NewReader("v"))
		copies := 0
		for copies < 3 {
			if f := s.next(); f.data == "v" && f.topic() == "key:k:1" {
				copies++
			} else if f.name != "key.deleted" {
				t.Fatalf("got event %+v", f)
			}
		}
		g.add("stream=s", "once")
		if f := s.next(); f.data != "once" || f.topic() != "stream:s" {
			t.Errorf("got event %+v", f)
		}
		g.publish("s", "a channel of that name")
		if f := s.next(); f.data != "a channel of that name" || f.topic() != "channel:s" {
			t.Errorf("a stream that is named twice: got second copy %+v", f)
		}
	})
}

func TestMixed_OneIDResumesAllKinds(t *testing.T) {
	t.Parallel()
	one := startOnRedis(t)
	other := startOn(t, one.redis)
	const query = "?channel=c&channel=g.*&stream=s&key=k"
	keep := other.subscribe(query)
	publish := func(data string) {
		t.Helper()
		one.publish("c", data)
		one.publish("g.1", data)
		one.add("stream=s", data)
		one.do(http.MethodPost, "/events?key=k", strings.NewReader(data))
	}
	eventually(t, "a cursor that both servers know", func() bool {
		s := one.subscribe(query)
		defer s.disconnect()
		publish("x")
		back := other.subscribe(query, "Last-Event-ID", s.first.id)
		defer back.disconnect()
		return back.opened.Resumed
	})
	s := one.subscribe(query)
	s.disconnect() // it got only stream.open
	publish("after")
	back := other.subscribe(query, "Last-Event-ID", s.first.id)
	want := []string{"channel:c", "channel:g.1", "key:k", "stream:s"}
	var got []string
	for len(got) < len(want) {
		f := back.next()
		if f.name == "stream.gap" {
			t.Fatalf("got gap %s", f.data)
		}
		if f.data == "after" {
			got = append(got, f.topic())
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || !back.opened.Resumed {
		t.Errorf("other server: got %q, resumed %v", got, back.opened.Resumed)
	}
	keep.disconnect()
}

func TestEvery_BurstEndsWithNewest(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		s := g.subscribe("?channel=c.*&stream=s&key=k:*&every=1s")
		const n = 200
		for i := 1; i <= n; i++ {
			data := fmt.Sprint(i)
			g.publish("c.1", data)
			g.publish("c.2", data)
			g.add("stream=s", data)
			g.do(http.MethodPost, "/events?key=k:1", strings.NewReader(data))
		}
		newest := make(map[string]string)
		events := 0
		for newest["channel:c.1"] != fmt.Sprint(n) || newest["channel:c.2"] != fmt.Sprint(n) || newest["stream:s"] != fmt.Sprint(n) || newest["key:k:1"] != fmt.Sprint(n) {
			f := s.next()
			if f.name != "" {
				t.Fatalf("got event %+v", f)
			}
			newest[f.topic()] = f.data
			events++
		}
		if events > 4*n/2 {
			t.Errorf("got %d of %d events", events, 4*n)
		}
	})
}

func TestPublish_WritesPlainRedisValues(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t, "--jwt-secret="+jwtSecret)
	trimmer := "Bearer " + token(t, newClaims(time.Hour))
	ctx := t.Context()
	id := g.add("stream=s&event=order.created", `{"total":9}`)
	plain := g.add("stream=s", "x")
	entries := g.direct.XRange(ctx, "s", "-", "+").Val()
	if len(entries) != 2 || entries[0].ID != id || entries[1].ID != plain ||
		fmt.Sprint(entries[0].Values) != "map[data:{\"total\":9} event:order.created]" || fmt.Sprint(entries[1].Values) != "map[data:x]" {
		t.Errorf("the stream holds %v", entries)
	}
	g.do(http.MethodPost, "/events?key=k", strings.NewReader("101.5"))
	if got := g.direct.Get(ctx, "k").Val(); got != "101.5" || g.direct.TTL(ctx, "k").Val() != -1 {
		t.Errorf("the key holds %q for %s", got, g.direct.TTL(ctx, "k").Val())
	}
	for i := range 500 {
		g.add("stream=short&maxlen=100", fmt.Sprint(i), "Authorization", trimmer)
		g.add("stream=short-once&maxlen=100", fmt.Sprint(i), "Authorization", trimmer, "Idempotency-Key", fmt.Sprint(i))
		g.add("stream=long", fmt.Sprint(i))
	}
	if n := g.direct.XLen(ctx, "long").Val(); n != 500 {
		t.Errorf("without maxlen: got %d entries, want 500", n)
	}
	for _, name := range []string{"short", "short-once"} {
		if n := g.direct.XLen(ctx, name).Val(); n < 100 || n > 300 {
			t.Errorf("with maxlen=100, stream %s: got %d of 500 entries", name, n)
		}
	}
	// A publish replaces a key of another type, as SET does. A publish to a stream fails.
	g.redis.Do("RPUSH", "list", "a")
	a := g.do(http.MethodPost, "/events?stream=list", strings.NewReader("x"))
	checkProblem(t, "a list as a stream", a, http.StatusConflict)
	checkProblem(t, "the same with a key", g.do(http.MethodPost, "/events?stream=list", strings.NewReader("x"), "Idempotency-Key", "k"), http.StatusConflict)
	if a := g.do(http.MethodPost, "/events?key=list", strings.NewReader("x")); a.status != http.StatusOK || g.direct.Get(ctx, "list").Val() != "x" {
		t.Errorf("publish to a key that holds a list: got status %d, body %s", a.status, a.body)
	}
}

func TestPublish_OnlyStreamAnswersHaveID(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		for _, kind := range []string{"channel", "stream", "key"} {
			a := g.do(http.MethodPost, "/events?"+kind+"=a", strings.NewReader("x"))
			var got map[string]string
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || got["topic"] != kind+":a" {
				t.Errorf("%s: got %s", kind, a.body)
			}
			id, ok := got["id"]
			if _, parsed := event.ParseStreamID(id); ok != (kind == "stream") || ok && !parsed || len(got) > 2 {
				t.Errorf("%s: got %s", kind, a.body)
			}
		}
		for _, query := range []string{"stream=a*", "key=a*", "stream=a&key=a", "key=a&event=x", "key=a&maxlen=1", "stream=a&maxlen=0", "stream=a&maxlen=-1"} {
			checkProblem(t, query, g.do(http.MethodPost, "/events?"+query, strings.NewReader("x")), http.StatusBadRequest)
		}
	})
}

func TestPublish_LinesToEachKind(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		s := g.subscribe("?stream=s&key=k")
		if f := s.next(); f.name != "key.deleted" {
			t.Fatalf("got event %+v", f)
		}
		const body = "{\"n\":1}\n\r\n{\"n\":2}\r\n{\"n\":3}\n\n"
		for _, query := range []string{"stream=s&event=row", "key=k"} {
			a := g.do(http.MethodPost, "/events?"+query, strings.NewReader(body), "Content-Type", "application/x-ndjson; charset=utf-8")
			var got struct {
				Topic     string
				Published int
			}
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Published != 3 || a.status != http.StatusOK {
				t.Errorf("%s: got status %d, body %s", query, a.status, a.body)
			}
		}
		var rows []string
		for newest := ""; len(rows) < 3 || newest != `{"n":3}`; {
			f := s.next()
			switch f.topic() {
			case "stream:s":
				rows = append(rows, f.name+" "+f.data)
			case "key:k":
				newest = f.data // earlier values may have been replaced before they were read
			}
		}
		if !slices.Equal(rows, []string{`row {"n":1}`, `row {"n":2}`, `row {"n":3}`}) {
			t.Errorf("got entries %q", rows)
		}
	})
}

func TestPublish_IdempotencyKeyOnAllServers(t *testing.T) {
	t.Parallel()
	one := startOnRedis(t)
	other := startOn(t, one.redis)
	servers := []*gateway{one, other}
	for round := range 10 {
		key := fmt.Sprint("k", round)
		answers := make([]answer, 12)
		var running sync.WaitGroup
		for i := range answers {
			running.Go(func() {
				answers[i] = servers[i%2].do(http.MethodPost, "/events?stream=s", strings.NewReader("x"), "Idempotency-Key", key)
			})
		}
		running.Wait()
		for _, a := range answers {
			if a.status != http.StatusOK || a.body != answers[0].body {
				t.Fatalf("got %d %s and %d %s", a.status, a.body, answers[0].status, answers[0].body)
			}
		}
		if n := one.direct.XLen(t.Context(), "s").Val(); n != int64(round+1) {
			t.Fatalf("after %d publishes the stream has %d entries", round+1, n)
		}
	}
	// A batch is retried as a whole.
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			a := servers[i%2].do(http.MethodPost, "/events?stream=lines", strings.NewReader("a\nb\nc\n"), "Idempotency-Key", "batch", "Content-Type", "application/x-ndjson")
			if a.status != http.StatusOK || !strings.Contains(a.body, `"published":3`) {
				t.Errorf("a batch: got status %d, body %s", a.status, a.body)
			}
		})
	}
	running.Wait()
	if n := one.direct.XLen(t.Context(), "lines").Val(); n != 3 {
		t.Errorf("got %d entries, want 3", n)
	}
}

func TestKeys_RejectsGlobOfTooManyKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := startOn(t, server)
	server.Do("EVAL", fmt.Sprintf("for i = 1, %d do redis.call('SET', 'k:' .. i, i) end", source.MaxKeys+1), 0)
	a := g.get("/events?key=k:*", "Accept", "text/event-stream")
	checkProblem(t, "too many keys", a, http.StatusBadRequest)
	if !strings.Contains(a.body, fmt.Sprint(source.MaxKeys)) {
		t.Errorf("the answer does not name the limit: %s", a.body)
	}
	server.Do("DEL", "k:1")
	var s *stream
	eventually(t, "the glob is open", func() bool { // a busy gateway answers "unavailable"
		s = g.open(g.client, "?key=k:*")
		return s.next().name == "stream.open"
	})
	if f := s.next(); !strings.HasPrefix(f.topic(), "key:k:") {
		t.Errorf("at the limit: got %+v", f)
	}
}

func TestCursor_QueryCannotInjectFields(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.do(http.MethodPost, "/events?key=k", strings.NewReader("v"))
	for _, cursor := range []string{"AAAA\ndata\n\nAAAAAAA", "AAAAAA\r\nAAAAA", "1-0\ndata: x", "x@\nevent: y"} {
		for _, query := range []string{"key=k", "stream=s", "channel=c", "key=k&stream=s&channel=c"} {
			// readFrames returns an error for anything other than blocks of known fields.
			s := g.subscribe("?" + query + "&lastEventId=" + url.QueryEscape(cursor))
			if !s.first.hasID || strings.ContainsFunc(s.first.id, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("%q on %s: the id is %q", cursor, query, s.first.id)
			}
			if query == "stream=s" || query == "channel=c" {
				s.gap()
			}
			s.disconnect()
		}
	}
}
