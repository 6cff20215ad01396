package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// add publishes to a stream over HTTP and returns the entry's id.
func (g *gateway) add(query, data string, header ...string) string {
	g.t.Helper()
	a := g.do(http.MethodPost, "/events?"+query, strings.NewReader(data), header...)
	var got struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK || got.ID == "" {
		g.t.Errorf("publishing to %s: got status %d, body %s", query, a.status, a.body)
	}
	return got.ID
}

// cursorEntry returns the id of the entry in the cursor of a frame.
func cursorEntry(f frame) string {
	id, _, _ := strings.Cut(f.id, ".")
	return id
}

func TestStreams_EventIDsNameEntries(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		one := g.subscribe("?stream=orders")
		several := g.subscribe("?stream=orders&channel=a")
		for _, tt := range []struct{ query, data, name string }{
			{"stream=orders", `{"total":9}`, ""},
			{"stream=orders&event=order.created", "two\nlines", "order.created"},
			{"stream=orders", "", ""},
		} {
			id := g.add(tt.query, tt.data)
			if f := one.next(); cursorEntry(f) != id || f.data != tt.data || f.name != tt.name {
				t.Errorf("got event %+v, want %q with the id %s", f, tt.data, id)
			}
			if f := several.next(); f.topic() != "stream:orders" || f.data != tt.data || f.name != tt.name {
				t.Errorf("among several topics: got event %+v", f)
			}
		}
	})
}

func TestStreams_RedisClientsCanAdd(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	s := g.subscribe("?stream=orders")
	for _, tt := range []struct {
		name      string
		values    []string
		data      string
		eventType string
	}{
		{"data", []string{"data", "x"}, "x", ""},
		{"data and type", []string{"data", "x", "event", "order.created"}, "x", "order.created"},
		{"other fields make it an object", []string{"data", "x", "other", "y"}, `{"data":"x","other":"y"}`, ""},
		{"no data", []string{"b", "2", "a", "<1>"}, `{"a":"<1>","b":"2"}`, ""},
		{"a type without data is a field", []string{"event", "order.created"}, `{"event":"order.created"}`, ""},
		{"reserved type", []string{"data", "x", "event", "stream.open"}, "x", ""},
		{"reserved type of keys", []string{"data", "x", "event", "key.deleted"}, "x", ""},
		{"type open", []string{"data", "x", "event", "open"}, "x", ""},
		{"type error", []string{"data", "x", "event", "error"}, "x", ""},
		{"type with a line break", []string{"data", "x", "event", "a\nb"}, "x", ""},
		{"type with a NUL", []string{"data", "x", "event", "a\x00b"}, "x", ""},
	} {
		id, err := g.direct.XAdd(t.Context(), &redis.XAddArgs{Stream: "orders", Values: tt.values}).Result()
		if err != nil {
			t.Fatal(err)
		}
		if f := s.next(); cursorEntry(f) != id || f.data != tt.data || f.name != tt.eventType {
			t.Errorf("%s: got event %+v, want %q of type %q", tt.name, f, tt.data, tt.eventType)
		}
	}
}

func TestStreams_ResumeFromAnyEntry(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t, "--history-events=10", "--linger=0s")
	var ids []string
	for i := range 300 {
		id, err := g.direct.XAdd(t.Context(), &redis.XAddArgs{Stream: "s", Values: []string{"data", fmt.Sprint(i)}}).Result()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for _, from := range []int{0, 1, 100, 288, 289, 290, 298, 299} {
		for _, query := range []string{"?stream=s", "?stream=s&channel=a"} {
			s := g.subscribe(query, "Last-Event-ID", ids[from])
			if query != "?stream=s" {
				s.disconnect() // id of another subscription
				continue
			}
			if !s.opened.Resumed {
				t.Errorf("from entry %d: resumed is false", from)
			}
			if got := s.data(299 - from); !slices.Equal(got, numbers(from+1, 299)) {
				t.Errorf("from entry %d: got %d entries: %.60q", from, len(got), got)
			}
			s.disconnect()
		}
	}
	for _, last := range []int{1, 10, 11, 200, 300, 1000} {
		s := g.subscribe(fmt.Sprint("?stream=s&last=", last))
		n := min(last, 300)
		if got := s.data(n); !slices.Equal(got, numbers(300-n, 299)) {
			t.Errorf("last=%d: got entries %.60q", last, got)
		}
		s.disconnect()
	}
	if err := g.direct.XTrimMaxLen(t.Context(), "s", 100).Err(); err != nil {
		t.Fatal(err)
	}
	s := g.subscribe("?stream=s", "Last-Event-ID", ids[50])
	gap, f := s.gap()
	if s.opened.Resumed || gap.Reason != "history-expired" || gap.Lost != nil && *gap.Lost != 149 {
		t.Errorf("got gap %+v", f)
	}
	if got := s.data(100); !slices.Equal(got, numbers(200, 299)) {
		t.Errorf("got %.60q after the gap", got)
	}
	s.disconnect()
	future := g.subscribe("?stream=s", "Last-Event-ID", fmt.Sprint(uint64(math.MaxUint64)/2, "-0"))
	if gap, f := future.gap(); gap.Reason != "unknown-cursor" {
		t.Errorf("id that Redis never assigned: got gap %+v", f)
	}
}

func TestStreams_ReconnectLosesNothing(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	s := g.subscribe("?stream=s")
	for round := range 5 {
		g.add("stream=s", fmt.Sprint(round))
		g.redis.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		eventually(t, "an entry", func() bool {
			return g.do(http.MethodPost, "/events?stream=s", strings.NewReader(fmt.Sprint(round, "b"))).status == http.StatusOK
		})
		if got := s.data(2); got[0] != fmt.Sprint(round) || got[1] != fmt.Sprint(round, "b") {
			t.Fatalf("got entries %q", got)
		}
	}
}

func TestStreams_RecreatedStreamIsGap(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	s := g.subscribe("?stream=s")
	add := func(id, data string) {
		t.Helper()
		if err := g.direct.XAdd(t.Context(), &redis.XAddArgs{Stream: "s", ID: id, Values: []string{"data", data}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	add("500-0", "old")
	s.data(1)
	if err := g.direct.Del(t.Context(), "s").Err(); err != nil {
		t.Fatal(err)
	}
	add("5-0", "new")
	if gap, f := s.gap(); gap.Topic != "stream:s" || gap.Lost != nil {
		t.Errorf("got gap %+v", f)
	}
	f := s.next()
	for f.name == "stream.gap" { // the deletion may have a gap as well
		f = s.next()
	}
	if f.data != "new" || cursorEntry(f) != "5-0" {
		t.Errorf("got %+v after the gap", f)
	}
}

func TestStreams_IdempotencyKeyAddsOnce(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		s := g.subscribe("?stream=s&stream=other")
		first := g.add("stream=s", "x", "Idempotency-Key", "k 1")
		var wait sync.WaitGroup
		for range 10 {
			wait.Go(func() {
				if id := g.add("stream=s", "x", "Idempotency-Key", "k 1"); id != first {
					t.Errorf("retry: got %s, want %s", id, first)
				}
			})
		}
		wait.Wait()
		g.add("stream=s", "second", "Idempotency-Key", "k 2")
		g.add("stream=other", "third", "Idempotency-Key", "k 1") // keys count per topic
		var got []string
		for range 3 {
			got = append(got, s.next().data)
		}
		slices.Sort(got)
		if !slices.Equal(got, []string{"second", "third", "x"}) {
			t.Errorf("got entries %q", got)
		}
		// Concurrent requests with a new key.
		ids := make([]string, 10)
		for i := range ids {
			wait.Go(func() { ids[i] = g.add("stream=s", "z", "Idempotency-Key", "k 3") })
		}
		wait.Wait()
		if distinct := slices.Compact(ids); len(distinct) != 1 {
			t.Errorf("equal publishes: got ids %q, want one id", ids)
		}
	})
}

func TestKeys_ValuesOfEveryType(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	for _, tt := range []struct {
		name    string
		command []any
		data    string
		event   string
	}{
		{"string", []any{"SET", "string", "a\nb"}, "a\nb", ""},
		{"hash", []any{"HSET", "hash", "b", "2", "a", "<1>"}, `{"a":"<1>","b":"2"}`, ""},
		{"list", []any{"RPUSH", "list", "b", "a", "b"}, `["b","a","b"]`, ""},
		{"set", []any{"SADD", "set", "c", "a", "b"}, `["a","b","c"]`, ""},
		{"zset", []any{"ZADD", "zset", "2.5", "b", "-inf", "a", "+inf", "c"}, `[["a","-inf"],["b",2.5],["c","inf"]]`, ""},
		{"stream", []any{"XADD", "stream", "*", "a", "1"}, `{"type":"stream"}`, "key.unsupported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fresh := g.subscribe("?key=" + tt.name)
			if f := fresh.next(); f.name != "key.deleted" || f.data != "null" {
				t.Errorf("absent key: got %+v", f)
			}
			g.redis.Do(tt.command...)
			glob := g.subscribe("?key=" + tt.name + "*&key=nothing*")
			for who, s := range map[string]*stream{"who was there": fresh, "who comes": g.subscribe("?key=" + tt.name), "who follows a glob": glob} {
				f := s.next()
				if f.name == "key.deleted" && who != "who follows a glob" {
					f = s.next() // value that the gateway knew before the notification arrived
				}
				if f.data != tt.data || f.name != tt.event || !f.hasID {
					t.Errorf("%s gets %+v, want %s", who, f, tt.data)
				}
				if who == "who follows a glob" && f.topic() != "key:"+tt.name {
					t.Errorf("the id %q does not name the key", f.id)
				}
			}
			g.redis.Do("DEL", tt.name)
			for who, s := range map[string]*stream{"a literal": fresh, "a glob": glob} {
				if f := s.next(); f.name != "key.deleted" || f.data != "null" {
					t.Errorf("after DEL, %s: got %+v", who, f)
				}
			}
		})
	}
}

func TestKeys_OnlyChangesAreEvents(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	g.redis.Do("SET", "k", "1")
	s := g.subscribe("?key=k")
	if f := s.next(); f.data != "1" {
		t.Fatalf("the value is %+v", f)
	}
	g.redis.Do("SET", "k", "1")
	g.redis.Do("EXPIRE", "k", "1000")
	g.redis.Do("APPEND", "k", "")
	g.redis.Do("SET", "k", "2")
	f := s.next()
	if f.data != "2" {
		t.Errorf("got %+v, want the new value", f)
	}
	s.disconnect()
	// A client that reconnects gets the value only if it changed.
	back := g.subscribe("?key=k", "Last-Event-ID", f.id)
	g.redis.Do("SET", "k", "3")
	if f := back.next(); f.data != "3" || !back.opened.Resumed {
		t.Errorf("client that reconnects: got %+v, resumed %v", f, back.opened.Resumed)
	}
	late := g.subscribe("?key=k", "Last-Event-ID", f.id)
	if f := late.next(); f.data != "3" {
		t.Errorf("client that reconnects late: got %+v", f)
	}
	g.redis.Do("PEXPIRE", "k", "10")
	for _, s := range []*stream{back, late} {
		if f := s.next(); f.name != "key.deleted" {
			t.Errorf("expired key: got %+v", f)
		}
	}
}

func TestKeys_PublishIsSet(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		s := g.subscribe("?key=price:*")
		for _, value := range []string{"101.5", "102", ""} {
			a := g.do(http.MethodPost, "/events?key=price:BTC", strings.NewReader(value))
			if a.status != http.StatusOK {
				t.Fatalf("publishing: got status %d, body %s", a.status, a.body)
			}
			if f := s.next(); f.data != value || f.topic() != "key:price:BTC" || f.name != "" {
				t.Errorf("got event %+v, want %q", f, value)
			}
		}
	})
}

func TestEvery_DeliversNewest(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		h2c := newH2C(t)
		all := g.subscribe("?channel=a&channel=b")
		long := []*stream{g.subscribe("?channel=a&channel=b&every=1m"), g.subscribeWith(h2c, "?channel=a&channel=b&every=1m")}
		g.publish("a", "1")
		g.publish("b", "1")
		for _, s := range long {
			got := []string{s.next().data, s.next().data} // the first event of each topic is sent immediately
			if !slices.Equal(got, []string{"1", "1"}) {
				t.Errorf("over %s: got first events %q", s.resp.Proto, got)
			}
		}
		g.publish("a", numbers(2, 50)...)
		g.publish("b", numbers(2, 50)...)
		all.data(100)
		short := []*stream{
			g.subscribe("?channel=a&every=50ms"),
			g.subscribe("?channel=a&channel=b&every=50ms"),
			g.subscribeWith(h2c, "?channel=a&every=50ms"),
		}
		g.publish("a", numbers(51, 100)...)
		for _, s := range short {
			for last := ""; last != "100"; {
				f := s.next()
				if f.name != "" {
					t.Fatalf("over %s: got %+v, want no gap for skipped events", s.resp.Proto, f)
				}
				last = f.data
			}
		}
		for _, s := range long {
			select {
			case f := <-s.frames:
				if f.name != "stream.ping" {
					t.Errorf("over %s: got %+v within the interval", s.resp.Proto, f)
				}
			default:
			}
		}
	})
}

// A client with a long interval gets the newest event, and no gap for skipped events that the
// journal has evicted.
func TestEvery_NewestOutlivesJournal(t *testing.T) {
	t.Parallel()
	g := start(t, "--history-events=4")
	all := g.subscribe("?channel=a")
	s := g.subscribe("?channel=a&every=1s")
	for _, n := range numbers(1, 50) { // one at a time: the other reader must not fall behind
		g.publish("a", n)
		all.next()
	}
	for last := ""; last != "50"; {
		f := s.next()
		if f.name != "" {
			t.Fatalf("got %+v, want the newest event", f)
		}
		last = f.data
	}
}

// A cursor of one gateway works on all gateways of the same Redis.
func TestNodes_ResumeOnOtherNode(t *testing.T) {
	t.Parallel()
	one := startOnRedis(t)
	two := startOn(t, one.redis)
	for name, query := range map[string]string{"channel": "?channel=a", "glob": "?channel=[ab]", "several": "?channel=a&stream=s"} {
		t.Run(name, func(t *testing.T) {
			keep := two.subscribe(query) // the other node follows the topic, too
			s := one.subscribe(query)
			// A cursor is valid on all nodes after the first marker.
			var id string
			resumes := func() bool {
				one.publish("a", "x")
				id = s.next().id
				keep.next()
				back := two.subscribe(query, "Last-Event-ID", id)
				defer back.disconnect()
				return back.opened.Resumed
			}
			eventually(t, "a cursor that both nodes know", resumes)
			one.publish("a", numbers(1, 5)...)
			back := two.subscribe(query, "Last-Event-ID", id)
			if got := back.data(5); !slices.Equal(got, numbers(1, 5)) || !back.opened.Resumed {
				t.Errorf("on the other node: got %q, resumed %v", got, back.opened.Resumed)
			}
			for _, s := range []*stream{s, keep, back} {
				s.disconnect()
			}
		})
	}
}

// A request for a key of another type gets an error that names the type.
func TestStreams_RejectsKeyOfOtherType(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	g.redis.Do("SET", "text", "x")
	a := g.get("/events?stream=text", "Accept", "text/event-stream")
	if a.status/100 != 4 {
		t.Errorf("subscribing: got status %d, body %s", a.status, a.body)
	}
	a = g.do(http.MethodPost, "/events?stream="+url.QueryEscape("text"), strings.NewReader("x"))
	if a.status/100 != 4 {
		t.Errorf("publishing: got status %d, body %s", a.status, a.body)
	}
	// Other subscriptions are not affected.
	s := g.subscribe("?stream=good")
	g.add("stream=good", "y")
	if f := s.next(); f.data != "y" {
		t.Errorf("got event %+v", f)
	}
}
