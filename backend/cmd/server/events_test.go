package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestEvents_PlainRequestFollowsDefaultTopics(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		s := g.subscribe("")
		for name, want := range map[string]string{
			"Content-Type":      "text/event-stream",
			"Cache-Control":     "no-cache, no-transform",
			"X-Accel-Buffering": "no",
		} {
			if got := s.resp.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if !slices.Equal(s.opened.Topics, []string{"channel:updates"}) || s.opened.Resumed || s.opened.Node == "" {
			t.Errorf("got stream.open %+v", s.opened)
		}
		if !s.first.hasID || s.first.retry == "" {
			t.Errorf("got stream.open %+v, want an id and retry in the same block", s.first)
		}
		g.publish("updates", "hello")
		f := s.next()
		if f.data != "hello" || f.name != "" || !f.hasID || f.retry != "" {
			t.Errorf("got event %+v", f)
		}
	})
}

func TestEvents_DefaultTopicsCanBeSet(t *testing.T) {
	t.Parallel()
	g := start(t, "--default-topics=channel:a,channel:b.*")
	s := g.subscribe("")
	if want := []string{"channel:a", "channel:b.*"}; !slices.Equal(s.opened.Topics, want) {
		t.Errorf("got topics %q, want %q", s.opened.Topics, want)
	}
}

func TestEvents_PayloadsArriveUnchanged(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		h2c := newH2C(t)
		streams := []*stream{g.subscribe("?channel=a"), g.subscribeWith(h2c, "?channel=a")}
		for _, tt := range []struct{ payload, want string }{
			{`{"value":42}`, `{"value":42}`},
			{"", ""},
			{"one\ntwo\n\nfour\n", "one\ntwo\n\nfour\n"},
			{"a\rb\r\nc\n\rd", "a\nb\nc\n\nd"},
			{" leading\n  more", " leading\n  more"},
			{"id: 7\nevent: open\ndata: x\nretry: 1\n\n: comment", "id: 7\nevent: open\ndata: x\nretry: 1\n\n: comment"},
			{"Grüße 世界 🚀 \u2028\u2029\u0085 \ufeff", "Grüße 世界 🚀 \u2028\u2029\u0085 \ufeff"},
			{"\ufeffmark first", "\ufeffmark first"},
			{"a\x00b", "a\x00b"},
			{strings.Repeat("0123456789abcdef", 1<<16), strings.Repeat("0123456789abcdef", 1<<16)},
			{strings.Repeat("0123456789abcd\r\n", 1<<16), strings.Repeat("0123456789abcd\n", 1<<16)},
		} {
			g.publish("a", tt.payload)
			for _, s := range streams {
				if f := s.next(); f.data != tt.want || f.name != "" || f.retry != "" {
					t.Errorf("%.40q (%d bytes) arrives as %.80q (%d bytes), type %q", tt.payload, len(tt.payload), f.data, len(f.data), f.name)
				}
			}
		}
	})
}

func TestEvents_RedisClientsCanPublish(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	s := g.subscribe("?channel=a")
	for _, tt := range []struct{ payload, want string }{
		{"plain", "plain"},
		{"a\xffb", "a\ufffdb"},
		{"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
		{"", ""},
	} {
		if err := g.direct.Publish(t.Context(), "a", tt.payload).Err(); err != nil {
			t.Fatal(err)
		}
		if f := s.next(); f.data != tt.want {
			t.Errorf("%q arrives as %q, want %q", tt.payload, f.data, tt.want)
		}
	}
}

func TestEvents_HTTPPublishIsRedisPublish(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	sub := g.direct.Subscribe(t.Context(), "a*b")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.publish(`a\*b`, "x\r\ny")
	m, err := sub.ReceiveMessage(t.Context())
	if err != nil || m.Payload != "x\r\ny" {
		t.Errorf("Redis got %v, %v", m, err)
	}
}

func TestEvents_IDsNameTopicOfSeveral(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		for _, tt := range []struct {
			name, query string
			open        string // topic in the id of stream.open, percent-encoded
			topic       string // topic in the id of an event, percent-encoded
		}{
			{"one literal", "?channel=ü@%25", "", ""},
			{"a literal twice", "?channel=ü@%25&channel=ü@%25", "", ""},
			{"a glob", "?channel=ü*", "channel:ü*", "channel:ü@%"},
			{"several", "?channel=b&channel=ü@%25", "channel:b", "channel:ü@%"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				s := g.subscribe(strings.ReplaceAll(tt.query, "ü", "%C3%BC"))
				g.publish("ü@%", "x")
				f := s.next()
				for _, id := range []string{s.first.id, f.id} {
					if id == "" || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
						t.Errorf("the id %q is not printable ASCII", id)
					}
				}
				if s.first.topic() != tt.open || f.topic() != tt.topic {
					t.Errorf("ids are %q and %q, want the topics %q and %q", s.first.id, f.id, tt.open, tt.topic)
				}
				if tt.topic == "" && strings.Contains(f.id, "@") {
					t.Errorf("the id %q names a topic", f.id)
				}
			})
		}
	})
}

func TestEvents_OverlappingTopicsDeliverCopies(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		s := g.subscribe("?channel=a&channel=*&channel=a")
		if want := []string{"channel:a", "channel:*"}; !slices.Equal(s.opened.Topics, want) {
			t.Errorf("got topics %q, want %q", s.opened.Topics, want)
		}
		g.publish("a", "1", "2")
		got := s.data(4)
		slices.Sort(got)
		if !slices.Equal(got, []string{"1", "1", "2", "2"}) {
			t.Errorf("got events %q", got)
		}
		g.publish("end", "3")
		if f := s.next(); f.data != "3" {
			t.Errorf("got another event %+v", f)
		}
	})
}

func TestEvents_PingsWhileIdle(t *testing.T) {
	t.Parallel()
	g := start(t, "--heartbeat=100ms")
	for name, client := range map[string]*http.Client{"HTTP/1.1": g.client, "HTTP/2": newH2C(t)} {
		s := g.subscribeWith(client, "?channel=a")
		for range 3 {
			f := s.nextOfAny()
			var data struct {
				Time string `json:"time"`
			}
			if f.name != "stream.ping" || f.hasID || f.retry != "" {
				t.Fatalf("%s: got ping %+v", name, f)
			}
			f.decode(t, &data)
			if at, err := time.Parse(time.RFC3339, data.Time); err != nil || time.Since(at).Abs() > testTimeout {
				t.Errorf("%s: the time of a ping is %q", name, data.Time)
			}
		}
		g.publish("a", "x")
		if f := s.next(); f.data != "x" {
			t.Errorf("%s: got %+v after the pings", name, f)
		}
	}
}

func TestEvents_RetryIsRandomized(t *testing.T) {
	t.Parallel()
	g := start(t, "--retry=1s")
	seen := make(map[string]bool)
	for range 30 {
		s := g.subscribe("")
		n, err := strconv.Atoi(s.first.retry)
		if err != nil || n < 1000 || n > 2000 {
			t.Fatalf("retry is %q, want 1000 to 2000", s.first.retry)
		}
		seen[s.first.retry] = true
		s.disconnect()
	}
	if len(seen) < 10 {
		t.Errorf("got %d different retry times for 30 connections", len(seen))
	}
}

func TestEvents_ResumeFromHeaderOrQuery(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		for _, query := range []string{"?channel=a", "?channel=a*", "?channel=a&channel=b"} {
			s := g.subscribe(query)
			g.publish("a", numbers(1, 5)...)
			var ids []string
			for range 5 {
				ids = append(ids, s.next().id)
			}
			s.disconnect()
			second, fourth := ids[1], ids[3]
			inQuery := query + "&lastEventId=" + url.QueryEscape(fourth)
			for name, tt := range map[string]struct {
				stream *stream
				want   []string
			}{
				"header":            {g.subscribe(query, "Last-Event-ID", second), numbers(3, 5)},
				"query":             {g.subscribe(inQuery), numbers(5, 5)},
				"the header wins":   {g.subscribe(inQuery, "Last-Event-ID", second), numbers(3, 5)},
				"with last as well": {g.subscribe(query+"&last=1", "Last-Event-ID", second), numbers(3, 5)},
				"over HTTP/2":       {g.subscribeWith(newH2C(t), query, "Last-Event-ID", second), numbers(3, 5)},
			} {
				if !tt.stream.opened.Resumed {
					t.Errorf("%s, %s: resumed is false", query, name)
				}
				if got := tt.stream.data(len(tt.want)); !slices.Equal(got, tt.want) {
					t.Errorf("%s, %s: got events %q, want %q", query, name, got, tt.want)
				}
				tt.stream.disconnect()
			}
			// The id of stream.open is a position at which no event was missed.
			again := g.subscribe(query, "Last-Event-ID", s.first.id)
			if got := again.data(5); !slices.Equal(got, numbers(1, 5)) {
				t.Errorf("%s: with the id of stream.open: got %q", query, got)
			}
			again.disconnect()
		}
	})
}

func TestEvents_OldOrUnknownCursorIsGap(t *testing.T) {
	t.Parallel()
	g := start(t, "--history-events=3")
	s := g.subscribe("?channel=a")
	g.publish("a", "1")
	first := s.next().id
	s.disconnect()
	g.publish("a", numbers(2, 10)...)

	old := g.subscribe("?channel=a", "Last-Event-ID", first)
	gap, f := old.gap()
	if old.opened.Resumed || gap.Topic != "channel:a" || gap.Reason != "history-expired" || gap.Lost == nil || *gap.Lost != 6 || !f.hasID {
		t.Errorf("got gap %+v and resumed %v", f, old.opened.Resumed)
	}
	if got := old.data(3); !slices.Equal(got, numbers(8, 10)) {
		t.Errorf("got %q after the gap", got)
	}

	for _, id := range []string{"nonsense", "1763820000000-0", "x@y", "%", strings.Repeat("x", 2000)} {
		unknown := g.subscribe("?channel=a", "Last-Event-ID", id)
		gap, f := unknown.gap()
		if unknown.opened.Resumed || gap.Reason != "unknown-cursor" || gap.Lost != nil || !f.hasID {
			t.Errorf("id %.30q: got gap %+v", id, f)
		}
		if !strings.Contains(f.data, `"lost":null`) {
			t.Errorf("lost is not null: %s", f.data)
		}
		g.publish("a", "live")
		if got := unknown.data(1); got[0] != "live" {
			t.Errorf("got %q after the gap", got)
		}
		unknown.disconnect()
	}
}

func TestEvents_LastSendsRecentEvents(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, start func(*testing.T, ...string) *gateway) {
		g := start(t)
		keep := g.subscribe("?channel=a&channel=*")
		g.publish("a", numbers(1, 20)...)
		keep.data(40)
		for _, query := range []string{"?channel=a", "?channel=*", "?channel=nothing&channel=a"} {
			for _, last := range []int{1, 7, 19, 20, 21, 1000} {
				s := g.subscribe(fmt.Sprint(query, "&last=", last))
				n := min(last, 20)
				if got := s.data(n); !slices.Equal(got, numbers(20-n+1, 20)) {
					t.Fatalf("%s, last=%d: got events %q", query, last, got)
				}
				s.disconnect()
			}
		}
	})
}

func TestEvents_HTTP2DeliversSameEvents(t *testing.T) {
	t.Parallel()
	g := start(t)
	one, two := g.subscribe("?channel=a"), g.subscribeWith(newH2C(t), "?channel=a")
	if two.resp.ProtoMajor != 2 || one.resp.ProtoMajor != 1 {
		t.Fatalf("protocols are %s and %s", one.resp.Proto, two.resp.Proto)
	}
	for _, name := range []string{"Content-Type", "Cache-Control", "X-Accel-Buffering"} {
		if one.resp.Header.Get(name) != two.resp.Header.Get(name) {
			t.Errorf("%s is %q over HTTP/2", name, two.resp.Header.Get(name))
		}
	}
	g.publish("a", numbers(1, 100)...)
	for range 100 {
		if a, b := one.next(), two.next(); a != b {
			t.Fatalf("got events %+v and %+v", a, b)
		}
	}
}

// The write timeout applies to clients that do not read, not to quiet topics.
func TestEvents_QuietHTTP2StreamOutlivesWriteTimeout(t *testing.T) {
	t.Parallel()
	g := start(t, "--write-timeout=200ms", "--heartbeat=1s")
	s := g.subscribeWith(newH2C(t), "?channel=a")
	other := g.subscribe("?channel=a")
	for range 2 {
		if f := other.nextOfAny(); f.name != "stream.ping" {
			t.Fatalf("got %+v, want a ping", f)
		}
	}
	g.publish("a", "x")
	if f := s.next(); f.data != "x" {
		t.Errorf("got %+v after the silence", f)
	}
}
