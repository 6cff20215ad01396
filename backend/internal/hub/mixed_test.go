package hub_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/source"
	"sluice/internal/source/memory"
	"sluice/internal/test/redistest"
)

var allKinds = []string{"channel:c", "channel:g.*", "stream:s", "stream:t", "key:k", "key:m:*"}

// One cursor resumes literals and globs of all kinds, on any node.
func TestMixed_CursorResumesAllKinds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	gateways := []gateway{redisGateway(t, server, history(1<<16)), redisGateway(t, server, history(1<<16))}
	list := topics(t, allKinds...)
	for _, g := range gateways {
		keep := g.subscribe(t, hub.Request{Topics: list})
		defer keep.close()
	}
	for _, g := range gateways {
		g.settle(t)
	}
	const n = 1500
	var running sync.WaitGroup
	for range 4 {
		ready := make(chan struct{})
		w := &mixedClient{t: t, gateways: gateways, list: list, next: make(map[string]int), values: make(map[string]string)}
		running.Go(func() { w.run(n, ready) })
		<-ready
	}
	client := server.Client()
	for i := 1; i <= n; i++ {
		pipe := client.Pipeline()
		for _, command := range [][]any{
			{"PUBLISH", "c", i}, {"PUBLISH", "g.1", i}, {"PUBLISH", "g.2", i},
			{"XADD", "s", "*", "data", i}, {"XADD", "t", "*", "data", i},
			{"SET", "k", i}, {"SET", fmt.Sprint("m:", i%3), i},
		} {
			if rand.IntN(3) > 0 || command[0] != "SET" || i > n-3 {
				pipe.Do(t.Context(), command...)
			}
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	running.Wait()
}

// mixedClient is a client of all kinds that loses its connection at random.
type mixedClient struct {
	t        *testing.T
	gateways []gateway
	list     []event.Topic
	id       string
	next     map[string]int
	values   map[string]string
	moves    int
	gaps     []string
}

func (c *mixedClient) run(last int, ready chan struct{}) {
	for done := false; !done && !c.t.Failed(); {
		s := c.gateways[rand.IntN(len(c.gateways))].subscribe(c.t, hub.Request{Topics: c.list, IDs: []string{c.id}})
		if c.id == "" {
			close(ready)
		} else {
			c.moves++
		}
		c.id = s.openID
		limit := rand.IntN(200)
		seen := 0
		s.await("events", func() bool {
			for ; seen < len(s.got) && seen < limit; seen++ {
				c.read(s.got[seen])
			}
			done = c.complete(last)
			return done || seen == limit
		})
		s.close()
	}
	for _, gap := range c.gaps {
		// Another node cannot know which keys of a glob were deleted.
		if gap != "key:m:* unknown-cursor null" {
			c.t.Errorf("got gap %q", gap)
		}
	}
}

func (c *mixedClient) complete(last int) bool {
	for _, topic := range []string{"channel:c", "channel:g.1", "channel:g.2", "stream:s", "stream:t"} {
		if c.next[topic] != last+1 {
			return false
		}
	}
	for i := range 3 {
		if c.values[fmt.Sprint("key:m:", (last-i)%3)] != fmt.Sprint(last-i) {
			return false
		}
	}
	return c.values["key:k"] == fmt.Sprint(last)
}

func (c *mixedClient) read(b frame) {
	c.id = b.id
	if b.isGap() {
		c.gaps = append(c.gaps, b.gap(c.t).String())
		return
	}
	topic := b.origin()
	if strings.HasPrefix(topic, "key:") {
		c.values[topic] = b.data
		return
	}
	if c.next[topic] == 0 {
		c.next[topic] = 1
	}
	if b.data != fmt.Sprint(c.next[topic]) {
		c.t.Errorf("topic %s: got %s, want %d", topic, b.data, c.next[topic])
	}
	c.next[topic]++
}

func TestMixed_ResumeWithOtherTopics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		before, after []string
		want          []string // "topic data" of the events during the disconnection
		gaps          []string
	}{
		{
			"in another order", []string{"channel:c", "stream:s", "key:k"}, []string{"key:k", "stream:s", "channel:c"},
			[]string{"channel:c 2", "key:k 2", "stream:s 2"}, nil,
		},
		{
			"more topics, which start live", []string{"stream:s", "channel:c"}, []string{"stream:s", "channel:c", "stream:t", "channel:d", "channel:g.*"},
			[]string{"channel:c 2", "stream:s 2"}, nil,
		},
		{
			"a new key shows its value", []string{"stream:s", "channel:c"}, []string{"stream:s", "channel:c", "key:k", "key:m:*"},
			[]string{"channel:c 2", "key:k 2", "key:m:1 2", "stream:s 2"}, nil,
		},
		{
			"fewer topics", []string{"stream:s", "channel:c", "key:k", "channel:d"}, []string{"stream:s", "key:k"},
			[]string{"key:k 2", "stream:s 2"}, nil,
		},
		{"from several to one stream", []string{"stream:s", "channel:c"}, []string{"stream:s"}, []string{"stream:s 2"}, nil},
		{"from several to one channel", []string{"stream:s", "channel:c"}, []string{"channel:c"}, []string{"channel:c 2"}, nil},
		{"from several to one key", []string{"key:k", "channel:c"}, []string{"key:k"}, []string{"key:k 2"}, nil},
		{"from several to a new one", []string{"stream:s", "channel:c"}, []string{"stream:t"}, nil, nil},
		{"all different", []string{"stream:s", "channel:c"}, []string{"stream:t", "channel:d"}, nil, nil},
		{"from a literal, whose id names no topic, to several", []string{"stream:s"}, []string{"stream:s", "stream:t"}, nil,
			[]string{"stream:s unknown-cursor null", "stream:t unknown-cursor null"}},
		{"from a literal, whose id names no topic, to a glob", []string{"channel:c"}, []string{"channel:?"}, nil,
			[]string{"channel:? unknown-cursor null"}},
		{"from a glob to several with it", []string{"channel:?"}, []string{"stream:s", "channel:?"},
			[]string{"channel:c 2", "channel:d 2"}, nil},
		{"from a glob to another", []string{"channel:?"}, []string{"channel:g.*"}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			one, other := redisGateway(t, server, history(100)), redisGateway(t, server, history(100))
			everything := topics(t, "channel:c", "channel:d", "channel:?", "channel:g.*", "stream:s", "stream:t", "key:k", "key:m:*")
			for _, g := range []gateway{one, other} {
				keep := g.subscribe(t, hub.Request{Topics: everything})
				defer keep.close()
			}
			one.settle(t)
			other.settle(t)
			step := func(data string) {
				for _, topic := range []string{"channel:d", "channel:g.1", "stream:t", "key:m:1", "stream:s", "channel:c", "key:k"} {
					publish(t, one.source, topic, data)
				}
				one.settle(t)
				other.settle(t, "key:k", "key:m:*")
			}
			s := one.subscribe(t, hub.Request{Topics: topics(t, tt.before...)})
			step("1")
			for _, topic := range tt.before {
				s.await("1 of "+topic, func() bool {
					return len(tt.before) == 1 && len(s.data()) > 0 ||
						slices.ContainsFunc(s.got, func(b frame) bool { return b.origin() == topic && b.data == "1" })
				})
			}
			s.read()
			s.close()
			step("2")
			back := other.subscribe(t, hub.Request{Topics: topics(t, tt.after...), IDs: []string{s.lastID()}})
			defer back.close()
			// Streams and channels use different connections.
			back.await("what is missing", func() bool { return len(back.data()) >= len(tt.want) })
			var got []string
			for _, b := range back.got {
				topic := b.origin()
				if len(tt.after) == 1 && strings.HasPrefix(topic, "unknown") {
					topic = tt.after[0]
				}
				if !b.isGap() {
					got = append(got, topic+" "+b.data)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if !slices.Equal(back.gaps(), tt.gaps) {
				t.Errorf("got gaps %q, want %q", back.gaps(), tt.gaps)
			}
		})
	}
}

func TestMixed_LostCursorIsGapAgain(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(100), func(t *testing.T, g gateway) {
		publish(t, g.source, "stream:s", "1")
		for _, list := range [][]string{{"channel:c"}, {"channel:c*"}, {"stream:s"}, {"key:m:*"}, {"channel:c", "stream:s", "key:m:*"}} {
			s := g.subscribe(t, hub.Request{Topics: topics(t, list...), IDs: []string{"channel:x@garbage!"}})
			s.read()
			if len(s.gaps()) != len(list) || s.opened.Resumed {
				t.Errorf("%v: got gaps %q, resumed %v", list, s.gaps(), s.opened.Resumed)
			}
			s.close()
			// The client reconnects from before the gaps, then from the first one.
			ids := []string{s.openID, s.got[0].id}
			for i, id := range ids {
				back := g.subscribe(t, hub.Request{Topics: topics(t, list...), IDs: []string{id}})
				back.read()
				if want := len(list) - i; len(back.gaps()) != want || back.opened.Resumed != (want == 0) {
					t.Errorf("%v: after a reconnect with %q: got gaps %q, resumed %v; want %d gaps", list, id, back.gaps(), back.opened.Resumed, want)
				}
				back.close()
			}
		}
	})
}

// hostileCursors returns cursors that a gateway never issues.
func hostileCursors() []string {
	long := strings.Repeat("9", 60_000)
	return []string{
		"", "@", "@@", "lost", "none", "0", "-", "--", "0-0-0", "1-", "-1", "+1-0", "1-+1", " 1-0", "1-0\n", "1-0\r\ndata: x",
		long, long + "-" + long, "0-" + strings.Repeat("0", 60_000), strings.Repeat(",", 60_000), strings.Repeat("=", 60_000),
		strings.Repeat("a=b,", 15_000), strings.Repeat(".", 60_000), "18446744073709551615-18446744073709551615", "18446744073709551616-0",
		"channel:c@", "channel:c@1-0\n\n", "%zz@x", "channel:%0a@x", "=", ",", "=,=", "a=", "=a",
		"AAAAAAAAAAA", "AAAAAAAAAAA.", "AAAAAAAAAAA.1", "AAAAAAAAAAA.-1", "AAAAAAAAAAA.zzzzzzzzzzzzzzzzz", "AAAAAAAAAAA.1.mark.1.xxxx",
		"AAAAAAAAAAA.1.mark.3w5e11264sgsf.xxxx", "AAAAAAAAAAA.1..1.x", "AAAAAAAAAAA.1.m.0", "AAAAAAAAAAA.1.m\n.0",
		"AAAAAA\nAAAAA", "AAAAAA\r\nAAAAA", "\nAAAAAAAAAAA", "AAAA\ndata\n\nAAAAAAA", "AAAAAAAAAAA\n", "A\x00AAAAAAAAAA", "\x7f", "ü", "\u2028",
	}
}

func checkHostile(t testing.TB, g gateway, list []event.Topic, cursor string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	sub, err := g.Subscribe(ctx, hub.Request{Topics: list, IDs: []string{cursor}})
	if err != nil {
		t.Errorf("cursor %.100q: got error %v", cursor, err)
		return
	}
	defer sub.Close()
	for range 100 {
		b, err := sub.Next(ctx)
		if err != nil {
			t.Errorf("cursor %.100q: Next: got error %v", cursor, err)
		}
		if len(b.Bytes) == 0 {
			break
		}
		frames(t, b.Bytes) // fails the test if a frame is invalid
		if t.Failed() {
			t.FailNow()
		}
	}
}

func withoutMarkers(t testing.TB, sources ...source.Source) []gateway {
	t.Helper()
	var out []gateway
	for _, src := range sources {
		g := newGateway(t, src, history(10))
		for _, topic := range []string{"stream:s", "key:k", "key:m:1", "channel:c"} {
			publish(t, src, topic, numbers(1, 30)...)
		}
		keep := g.subscribe(t, hub.Request{Topics: topics(t, allKinds...)})
		t.Cleanup(keep.close)
		out = append(out, g)
	}
	return out
}

func everySubscription(t testing.TB) [][]event.Topic {
	t.Helper()
	lists := [][]event.Topic{topics(t, allKinds...)}
	for _, topic := range allKinds {
		lists = append(lists, topics(t, topic))
	}
	return lists
}

func TestCursor_HostileIsGapAndNotEchoed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	memory := memory.New(source.Fill{Events: 10, Bytes: 1 << 20})
	for i, g := range withoutMarkers(t, memory, redisSource(t, server, history(10))) {
		for _, list := range everySubscription(t) {
			t.Run(fmt.Sprintf("%s/%d topics, %s", []string{"memory", "redis"}[i], len(list), list[0]), func(t *testing.T) {
				for _, cursor := range hostileCursors() {
					checkHostile(t, g, list, cursor)
					for _, topic := range list {
						checkHostile(t, g, list, tagged(topic, cursor))
					}
				}
			})
		}
	}
}

// tagged returns a cursor of several topics with a part for one of them.
func tagged(topic event.Topic, cursor string) string {
	sum := uint64(14695981039346656037) // FNV-1a, as in the hub
	for _, c := range []byte(topic.String()) {
		sum = (sum ^ uint64(c)) * 1099511628211
	}
	var b [8]byte
	for i := range b {
		b[i] = byte(sum >> (56 - 8*i))
	}
	return base64.RawURLEncoding.EncodeToString(b[:5]) + "=" + cursor
}

func TestCursor_TestTagsMatchHub(t *testing.T) {
	t.Parallel()
	g := newGateway(t, memory.New(source.Fill{}), history(10))
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s", "channel:c")})
	defer s.close()
	if want := tagged(event.Topic{Kind: event.Stream, Pattern: "s"}, ""); !strings.Contains(s.openID, want) {
		t.Fatalf("got id %q, want it to contain the tag %q", s.openID, want)
	}
}

// Variations of a valid cursor.
func TestCursor_ForgedIsNotEchoed(t *testing.T) {
	t.Parallel()
	g := withoutMarkers(t, memory.New(source.Fill{Events: 10, Bytes: 1 << 20}))[0]
	list := topics(t, "channel:c")
	publish(t, g.source, "channel:c", numbers(1, 30)...)
	s := g.subscribe(t, hub.Request{Topics: list, Last: 1})
	defer s.close()
	s.read()
	epoch, _, _ := strings.Cut(s.lastID(), ".")
	for _, cursor := range []string{
		epoch[:4] + "\n" + epoch[4:] + ".1", epoch[:4] + "\r" + epoch[4:] + ".p", epoch + ".p.m\nx.0", epoch + ".p.m.1.x\ny",
		epoch + ".p.m@x.0", epoch + ".p.m,x=y.0", epoch + ".0", epoch + ".p." + strings.Repeat("m", 50_000) + ".0", epoch + ".1.\x00.0",
	} {
		checkHostile(t, g, list, cursor)
	}
}

func FuzzCursor(f *testing.F) {
	for _, cursor := range hostileCursors() {
		if len(cursor) < 1000 {
			f.Add(cursor)
		}
	}
	f.Add("AAAAAAAAAAE.2.abcdefgh.1.3.abcd")
	f.Add("AAAAAAAAAAE")
	g := withoutMarkers(f, memory.New(source.Fill{Events: 10, Bytes: 1 << 20}))[0]
	lists := everySubscription(f)
	f.Fuzz(func(t *testing.T, cursor string) {
		for _, list := range lists {
			checkHostile(t, g, list, cursor)
			for _, topic := range list {
				checkHostile(t, g, list, tagged(topic, cursor))
			}
		}
		checkHostile(t, g, lists[0], url.PathEscape(cursor)+"@"+cursor)
	})
}

// A vector adds only a few bytes per topic to the cursors.
func TestMixed_CursorIsShort(t *testing.T) {
	t.Parallel()
	g := newGateway(t, memory.New(source.Fill{Events: 10, Bytes: 1 << 20}), history(10))
	long := "stream:" + strings.Repeat("x", 500)
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s", long)})
	defer s.close()
	publish(t, g.source, "stream:s", "x")
	s.awaitData("x")
	_, cursor := event.SplitID(s.lastID())
	if len(cursor) > 60 {
		t.Errorf("got a cursor of %d bytes: %s", len(cursor), cursor)
	}
}

func TestMixed_EachTopicResumesFromItsID(t *testing.T) {
	t.Parallel()
	bothBrokers(t, history(100), func(t *testing.T, g gateway) {
		all := []string{"channel:c", "stream:s", "stream:t"}
		keep := g.subscribe(t, hub.Request{Topics: topics(t, all...)})
		defer keep.close()
		lastOf := make(map[string]string)
		for _, name := range all {
			one := g.subscribe(t, hub.Request{Topics: topics(t, name)})
			publish(t, g.source, name, "1")
			one.awaitData("1")
			lastOf[name] = name + "@" + one.lastID()
			one.close()
			publish(t, g.source, name, "2", "3")
		}
		keep.await("everything", func() bool { return len(keep.data()) == 9 })
		vector := keep.got[0].id // after the first event of the channel

		for _, tt := range []struct {
			name string
			ids  []string
			last int
			want []string
		}{
			{"one topic's id starts the others live", []string{lastOf["stream:s"]}, 0, []string{"stream:s 2", "stream:s 3"}},
			{"an id for each", []string{lastOf["stream:s"], lastOf["channel:c"], lastOf["stream:t"]}, 1,
				[]string{"channel:c 2", "channel:c 3", "stream:s 2", "stream:s 3", "stream:t 2", "stream:t 3"}},
			{"recent events of those without one", []string{lastOf["stream:s"]}, 1,
				[]string{"channel:c 3", "stream:s 2", "stream:s 3", "stream:t 3"}},
			{"the later one counts", []string{vector, lastOf["stream:s"], lastOf["stream:t"]}, 1,
				[]string{"channel:c 2", "channel:c 3", "stream:s 2", "stream:s 3", "stream:t 2", "stream:t 3"}},
			{"the later one counts, in reverse order", []string{lastOf["stream:s"], vector}, 0,
				[]string{"channel:c 2", "channel:c 3", "stream:s 1", "stream:s 2", "stream:s 3", "stream:t 1", "stream:t 2", "stream:t 3"}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				back := g.subscribe(t, hub.Request{Topics: topics(t, all...), IDs: tt.ids, Last: tt.last})
				defer back.close()
				back.await("what is missing", func() bool { return len(back.data()) >= len(tt.want) })
				back.read()
				var got []string
				for _, b := range back.got {
					got = append(got, b.origin()+" "+b.data)
				}
				slices.Sort(got)
				if !slices.Equal(got, tt.want) {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				back.checkResumed("back", true)
			})
		}
	})
}
