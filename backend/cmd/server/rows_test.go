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

// Where the rows of the contract's sections 1 to 3 about streams, keys, several topics,
// every= and publishing are tested, besides this file:
//
//	§1 stream: entries, types, ids        source TestRedisStream_EntriesBecomeEvents, TestStreams_AnyClientOfRedisCanAdd
//	§1 stream after a lost connection     hub TestStream_ResumesFromEveryRetainedID, TestStream_OlderThanTheOldestIsAGap
//	§1 key: values, deletions             source TestRedisKey_ValuesOfAllTypes, TestRedisKey_EveryWayToChangeAValueIsSeen
//	§1 key: no event for the same value   source TestRedisKey_WhatLeavesTheValueAsItWasGivesNothing
//	§1 key after a lost connection        hub TestKey_ResumeSendsTheValueOnlyIfItChanged
//	§1 overlapping topics                 TestOverlap_EachTopicOfAKindDeliversItsOwnCopy
//	§1 reserved types                     TestRedisStream_EntriesBecomeEvents, TestPublish_RefusesWhatCannotBePublished
//	§2 last=                              hub TestStream_LastGivesTheNewestEntries, TestEvents_LastGivesRecentEvents
//	§2 every=                             hub TestConflation_*, TestEvery_*, TestEvery_BurstEndsOnTheNewestOfEachTopic
//	§2 ids                                TestIDs_ArePercentEncodedForAllKinds
//	§2 gap on a key glob                  hub TestKeyGlob_ResumeOnAnotherNodeIsAGapAndAllValues
//	§2 the promise, on any node           hub TestChannel_PlacesHoldOnEveryNodeWhateverThePayloads, TestMixed_OneCursorResumesAllKindsOnEveryNode
//	§2 400: glob on a stream, bounds      TestEvents_RequestsThatCannotBeMeant
//	§2 a cursor that cannot be read       hub TestCursor_HostileOnesAreGapsAndNeverEchoed, TestCursor_InTheQueryCannotWriteIntoTheStream
//	§3 one literal topic, 413, types      TestPublish_RefusesWhatCannotBePublished
//	§3 maxlen                             TestPublish_WritesWhatAUserWould
//	§3 Idempotency-Key                    source streamIdempotency*, TestIdempotencyKey_*, TestPublish_IdempotencyKeyHoldsOnAllServers
//	§3 NDJSON                             TestPublish_LinesToEveryKind

func TestIDs_ArePercentEncodedForAllKinds(t *testing.T) {
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
			{"q?&=,;+", "q%5C?&=,;+"}, // as topics write a literal question mark: \?
		} {
			for _, kind := range []string{"channel", "stream", "key"} {
				// Keys and streams of one name would be one key of Redis.
				pattern := kind + strings.ReplaceAll(tt.name, "?", `\?`)
				wanted := kind + strings.ReplaceAll(tt.encoded, "%5C", `\`)
				query := "?channel=other&" + kind + "=" + url.QueryEscape(pattern)
				s := g.subscribe(query)
				data := kind + " " + tt.name
				a := g.do(http.MethodPost, "/events?"+kind+"="+url.QueryEscape(pattern), strings.NewReader(data))
				if a.status != http.StatusOK {
					t.Fatalf("publishing gives %d: %s", a.status, a.body)
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

func TestOverlap_EachTopicOfAKindDeliversItsOwnCopy(t *testing.T) {
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
				t.Fatalf("the event is %+v", f)
			}
		}
		g.add("stream=s", "once")
		if f := s.next(); f.data != "once" || f.topic() != "stream:s" {
			t.Errorf("the event is %+v", f)
		}
		g.publish("s", "a channel of that name")
		if f := s.next(); f.data != "a channel of that name" || f.topic() != "channel:s" {
			t.Errorf("a stream named twice counts once, and then comes %+v", f)
		}
	})
}

func TestMixed_OneIDResumesEverythingOnAnotherServer(t *testing.T) {
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
	s.disconnect() // it saw nothing but stream.open
	publish("after")
	back := other.subscribe(query, "Last-Event-ID", s.first.id)
	want := []string{"channel:c", "channel:g.1", "key:k", "stream:s"}
	var got []string
	for len(got) < len(want) {
		f := back.next()
		if f.name == "stream.gap" {
			t.Fatalf("a gap %s", f.data)
		}
		if f.data == "after" {
			got = append(got, f.topic())
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || !back.opened.Resumed {
		t.Errorf("the other server sends %q, resumed is %v", got, back.opened.Resumed)
	}
	keep.disconnect()
}

func TestEvery_BurstEndsOnTheNewestOfEachTopic(t *testing.T) {
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
				t.Fatalf("an event %+v", f)
			}
			newest[f.topic()] = f.data
			events++
		}
		if events > 4*n/2 {
			t.Errorf("%d of %d events come", events, 4*n)
		}
	})
}

func TestPublish_WritesWhatAUserWould(t *testing.T) {
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
		t.Errorf("of 500 entries without maxlen the stream keeps %d", n)
	}
	for _, name := range []string{"short", "short-once"} {
		if n := g.direct.XLen(ctx, name).Val(); n < 100 || n > 300 {
			t.Errorf("of 500 entries with maxlen=100 the stream %s keeps %d", name, n)
		}
	}
	// A key that holds something else is replaced, as SET does it; a stream refuses.
	g.redis.Do("RPUSH", "list", "a")
	a := g.do(http.MethodPost, "/events?stream=list", strings.NewReader("x"))
	checkProblem(t, "a list as a stream", a, http.StatusConflict)
	checkProblem(t, "the same with a key", g.do(http.MethodPost, "/events?stream=list", strings.NewReader("x"), "Idempotency-Key", "k"), http.StatusConflict)
	if a := g.do(http.MethodPost, "/events?key=list", strings.NewReader("x")); a.status != http.StatusOK || g.direct.Get(ctx, "list").Val() != "x" {
		t.Errorf("setting a list gives %d: %s", a.status, a.body)
	}
}

func TestPublish_AnswersWithAnIDForStreamsOnly(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		for _, kind := range []string{"channel", "stream", "key"} {
			a := g.do(http.MethodPost, "/events?"+kind+"=a", strings.NewReader("x"))
			var got map[string]string
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || got["topic"] != kind+":a" {
				t.Errorf("%s: the answer is %s", kind, a.body)
			}
			id, ok := got["id"]
			if _, parsed := event.ParseStreamID(id); ok != (kind == "stream") || ok && !parsed || len(got) > 2 {
				t.Errorf("%s: the answer is %s", kind, a.body)
			}
		}
		for _, query := range []string{"stream=a*", "key=a*", "stream=a&key=a", "key=a&event=x", "key=a&maxlen=1", "stream=a&maxlen=0", "stream=a&maxlen=-1"} {
			checkProblem(t, query, g.do(http.MethodPost, "/events?"+query, strings.NewReader("x")), http.StatusBadRequest)
		}
	})
}

func TestPublish_LinesToEveryKind(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		s := g.subscribe("?stream=s&key=k")
		if f := s.next(); f.name != "key.deleted" {
			t.Fatalf("the event is %+v", f)
		}
		const body = "{\"n\":1}\n\r\n{\"n\":2}\r\n{\"n\":3}\n\n"
		for _, query := range []string{"stream=s&event=row", "key=k"} {
			a := g.do(http.MethodPost, "/events?"+query, strings.NewReader(body), "Content-Type", "application/x-ndjson; charset=utf-8")
			var got struct {
				Topic     string
				Published int
			}
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Published != 3 || a.status != http.StatusOK {
				t.Errorf("%s gives %d: %s", query, a.status, a.body)
			}
		}
		var rows []string
		for newest := ""; len(rows) < 3 || newest != `{"n":3}`; {
			f := s.next()
			switch f.topic() {
			case "stream:s":
				rows = append(rows, f.name+" "+f.data)
			case "key:k":
				newest = f.data // those before may have been replaced before they were read
			}
		}
		if !slices.Equal(rows, []string{`row {"n":1}`, `row {"n":2}`, `row {"n":3}`}) {
			t.Errorf("the entries are %q", rows)
		}
	})
}

func TestPublish_IdempotencyKeyHoldsOnAllServers(t *testing.T) {
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
				t.Fatalf("the answers are %d %s and %d %s", a.status, a.body, answers[0].status, answers[0].body)
			}
		}
		if n := one.direct.XLen(t.Context(), "s").Val(); n != int64(round+1) {
			t.Fatalf("after %d publishes the stream has %d entries", round+1, n)
		}
	}
	// A batch of lines is retried as a whole.
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			a := servers[i%2].do(http.MethodPost, "/events?stream=lines", strings.NewReader("a\nb\nc\n"), "Idempotency-Key", "batch", "Content-Type", "application/x-ndjson")
			if a.status != http.StatusOK || !strings.Contains(a.body, `"published":3`) {
				t.Errorf("a batch gives %d: %s", a.status, a.body)
			}
		})
	}
	running.Wait()
	if n := one.direct.XLen(t.Context(), "lines").Val(); n != 3 {
		t.Errorf("the stream has %d entries of 3", n)
	}
}

func TestKeys_GlobOfTooManyIsRefusedClearly(t *testing.T) {
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
	s := g.subscribe("?key=k:*")
	if f := s.next(); !strings.HasPrefix(f.topic(), "key:k:") {
		t.Errorf("with as many as may be, it sends %+v", f)
	}
}

func TestCursor_InTheQueryCannotWriteIntoTheStream(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.do(http.MethodPost, "/events?key=k", strings.NewReader("v"))
	for _, cursor := range []string{"AAAA\ndata\n\nAAAAAAA", "AAAAAA\r\nAAAAA", "1-0\ndata: x", "x@\nevent: y"} {
		for _, query := range []string{"key=k", "stream=s", "channel=c", "key=k&stream=s&channel=c"} {
			// Whatever is not a block of fields with an id ends the reading with an error.
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
