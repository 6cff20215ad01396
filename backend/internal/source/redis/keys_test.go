package redis_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/memory"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

func TestMemory_KeyContract(t *testing.T) {
	t.Parallel()
	testKeys(t, func(t *testing.T) source.Source {
		t.Helper()
		src := memory.New(someHistory)
		t.Cleanup(func() { _ = src.Close() })
		return src
	})
}

func TestRedis_KeyContract(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	testKeys(t, func(t *testing.T) source.Source {
		t.Helper()
		return connect(t, server, quiet)
	})
}

// testKeys runs the contract tests for keys.
func testKeys(t *testing.T, open func(*testing.T) source.Source) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, src source.Source)
	}{
		{"the value is sent first, then each change", keyValueThenChanges},
		{"a missing literal key is sent as deleted", keyAbsent},
		{"a write without a change is not an event", keySameValue},
		{"a glob sends all matching keys, then their changes", keyGlob},
		{"a glob without matches sends no event", keyGlobOfNothing},
		{"names with special characters are literal", keyNames},
		{"values arrive byte for byte", keyBytes},
		{"a closed key can be followed again", keyFollowAgain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, open(t))
		})
	}
}

func keyValueThenChanges(t *testing.T, src source.Source) {
	topic := keyNamed(uniquePrefix() + "k")
	writeText(t, src, topic, "1")
	w, _ := follow(t, src, topic)
	checkValues(t, "at the start", w.all(), "1")
	for _, v := range []string{"2", "3", "1"} {
		writeText(t, src, topic, v)
		w.last(t, v)
	}
	notes := w.all()
	checkValues(t, "the sink", notes, "1", "2", "3", "1")
	for _, n := range notes {
		if n.topic != topic || n.id != "" || n.eventType != "" {
			t.Errorf("got event %v", n)
		}
	}
}

func keyAbsent(t *testing.T, src source.Source) {
	topic := keyNamed(uniquePrefix() + "k")
	w, _ := follow(t, src, topic)
	notes := w.all()
	if len(notes) != 1 || notes[0].eventType != event.KeyDeleted || notes[0].data != "null" || notes[0].topic != topic {
		t.Errorf("got %v", notes)
	}
	writeText(t, src, topic, "")
	if got := w.count(t, 2)[1]; got.data != "" || got.eventType != "" {
		t.Errorf("empty value: got %v", got)
	}
}

func keySameValue(t *testing.T, src source.Source) {
	topic := keyNamed(uniquePrefix() + "k")
	writeText(t, src, topic, "1")
	w, _ := follow(t, src, topic)
	writeText(t, src, topic, "1", "1", "1")
	writeText(t, src, topic, "2")
	w.last(t, "2")
	checkValues(t, "the sink", w.all(), "1", "2")
}

func keyGlob(t *testing.T, src source.Source) {
	p := uniquePrefix()
	const n = 300
	want := make(map[string]string)
	for i := range n {
		name := fmt.Sprint(p, "in:", i)
		writeText(t, src, keyNamed(name), fmt.Sprint(i))
		writeText(t, src, keyNamed(fmt.Sprint(p, "out:", i)), "never")
		want[name] = fmt.Sprint(i)
	}
	w, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: p + "in:*"})
	got := make(map[string]string)
	for _, e := range w.all() {
		if _, twice := got[e.topic.Name()]; twice {
			t.Errorf("got %s twice", e.topic)
		}
		got[e.topic.Name()] = e.data
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got a snapshot of %d keys, want %d", len(got), len(want))
	}
	writeText(t, src, keyNamed(p+"in:7"), "changed")
	w.count(t, n+1)
	writeText(t, src, keyNamed(p+"out:7"), "never")
	writeText(t, src, keyNamed(p+"in:new*"), "created")
	notes := w.count(t, n+2)[n:]
	if len(notes) != 2 || notes[0].topic != keyNamed(p+"in:7") || notes[0].data != "changed" ||
		notes[1].topic != keyNamed(p+"in:new*") || notes[1].data != "created" {
		t.Errorf("got %v after the snapshot", notes)
	}
}

func keyGlobOfNothing(t *testing.T, src source.Source) {
	p := uniquePrefix()
	w, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: p + "*"})
	if notes := w.all(); len(notes) > 0 {
		t.Errorf("got %v", notes)
	}
	writeText(t, src, keyNamed(p+"a"), "1")
	checkValues(t, "the sink", w.last(t, "1"), "1")
}

func TestRedisKeys_TooManyForGlobIsError(t *testing.T) {
	t.Parallel()
	src := connect(t, redistest.Start(t), quiet)
	p := uniquePrefix()
	fillKeys(t, src, p)
	f := src.Follow(event.Topic{Kind: event.Key, Pattern: p + "*"}, newRecordingSink(t))
	err := f.Live(t.Context())
	if !errors.Is(err, source.ErrTooManyKeys) || !strings.Contains(fmt.Sprint(err), fmt.Sprint(source.MaxKeys)) {
		t.Errorf("Live: got error %v", err)
	}
	f.Close()
	w, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: p + "1*"})
	if n := len(w.all()); n != 1112 && n != 1113 {
		t.Errorf("narrower glob: got %d keys", n)
	}
}

// fillKeys writes one key more than a glob may match. A source is slow under the race detector, so
// fillKeys writes in batches, with values that do not matter.
func fillKeys(t *testing.T, src *redis.Source, p string) {
	t.Helper()
	const writers = 16
	errs := make(chan error, writers)
	for k := range writers {
		go func() {
			var err error
			for i := k; i <= source.MaxKeys && err == nil; i += writers {
				_, err = src.Publish(t.Context(), keyNamed(fmt.Sprint(p, i)), source.Message{Data: []byte("x")})
			}
			errs <- err
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

func keyNames(t *testing.T, src source.Source) {
	p := uniquePrefix()
	names := []string{"a*b", "a?b", "a[b]", `a\b`, "__:x", "ü🚀", " a b "}
	sinks := make([]*recordingSink, len(names))
	for i, name := range names {
		sinks[i], _ = follow(t, src, keyNamed(p+name))
	}
	for _, name := range append(slices.Clone(names), "aXb", "ab", "x") {
		writeText(t, src, keyNamed(p+name), name)
	}
	for i, name := range names {
		notes := sinks[i].last(t, name)
		if len(notes) != 2 || notes[1].topic.Name() != p+name {
			t.Errorf("%s: got %v", name, notes)
		}
	}
}

func keyBytes(t *testing.T, src source.Source) {
	topic := keyNamed(uniquePrefix() + "k")
	w, _ := follow(t, src, topic)
	for _, v := range []string{"\x00", "a\r\nb", "\xff\xfe", "ü🚀", strings.Repeat("x", 1<<20)} {
		writeText(t, src, topic, v)
		w.last(t, v)
	}
}

func keyFollowAgain(t *testing.T, src source.Source) {
	topic := keyNamed(uniquePrefix() + "k")
	writeText(t, src, topic, "1")
	for i := range 20 {
		w := newRecordingSink(t)
		f := src.Follow(topic, w)
		if i%2 == 0 {
			awaitLive(t, f)
			checkValues(t, "a following", w.all(), "1")
		}
		f.Close()
	}
	w, _ := follow(t, src, topic)
	writeText(t, src, topic, "2")
	checkValues(t, "the last", w.last(t, "2"), "1", "2")
}

// These tests need commands that only Redis has.

func TestRedisKey_ValuesOfAllTypes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	for _, tt := range []struct {
		name  string
		write [][]any // "k" is replaced by the key
		kind  string
		want  string // JSON
		text  bool   // want is the text itself
	}{
		{name: "string", write: [][]any{{"SET", "k", "10<1.5"}}, want: "10<1.5", text: true},
		{name: "number", write: [][]any{{"INCRBYFLOAT", "k", "1.5"}}, want: "1.5", text: true},
		{name: "hash", write: [][]any{{"HSET", "k", "b", "<2>", "a", "1"}}, want: `{"a":"1","b":"<2>"}`},
		{name: "list", write: [][]any{{"RPUSH", "k", "z", "a", "z"}}, want: `["z","a","z"]`},
		{name: "set is sorted", write: [][]any{{"SADD", "k", "c", "a", "b", "10", "9"}}, want: `["10","9","a","b","c"]`},
		{
			name:  "sorted set",
			write: [][]any{{"ZADD", "k", "1.5", "a", "-2", "b", "inf", "top", "-inf", "bottom", "1e300", "huge"}},
			want:  `[["bottom","-inf"],["b",-2],["a",1.5],["huge",1e300],["top","inf"]]`,
		},
		{name: "stream is unsupported", write: [][]any{{"XADD", "k", "*", "a", "1"}}, kind: event.KeyUnsupported, want: `{"type":"stream"}`},
		{name: "bitmap is a string", write: [][]any{{"SETBIT", "k", 1, 1}}, want: "@", text: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := func(who string, n call) {
				t.Helper()
				if n.eventType != tt.kind {
					t.Errorf("%s: got type %q", who, n.eventType)
				}
				if tt.text {
					if n.data != tt.want {
						t.Errorf("%s: got data %q, want %q", who, n.data, tt.want)
					}
					return
				}
				var got, want any
				if err := errors.Join(json.Unmarshal([]byte(n.data), &got), json.Unmarshal([]byte(tt.want), &want)); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: got data %s, want %s; %v", who, n.data, tt.want, err)
				}
				if strings.Contains(n.data, `\u00`) || strings.HasSuffix(n.data, "\n") {
					t.Errorf("%s: got escaped characters in the data %q", who, n.data)
				}
			}
			name := uniquePrefix() + "k"
			before, _ := follow(t, src, keyNamed(name))
			for _, command := range tt.write {
				command = slices.Clone(command)
				command[1] = name
				server.Do(command...)
			}
			check("as a change", before.count(t, 2)[1])
			after := connect(t, server, quiet)
			w, _ := follow(t, after, keyNamed(name))
			check("at the start", w.count(t, 1)[0])
			server.Do("DEL", name)
			for _, w := range []*recordingSink{before, w} {
				n := len(w.last(t, "null"))
				if got := w.all()[n-1]; got.eventType != event.KeyDeleted {
					t.Errorf("got %v, want a deletion", got)
				}
			}
		})
	}
}

func TestRedisKey_EveryChangeIsEvent(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	for _, tt := range []struct {
		name   string
		before []any
		change []any
		want   string // "null" is key.deleted
	}{
		{"APPEND", []any{"SET", "k", "a"}, []any{"APPEND", "k", "b"}, "ab"},
		{"HDEL of the last field", []any{"HSET", "k", "a", "1"}, []any{"HDEL", "k", "a"}, "null"},
		{"LPOP", []any{"RPUSH", "k", "a", "b"}, []any{"LPOP", "k"}, `["b"]`},
		{"SREM", []any{"SADD", "k", "a", "b"}, []any{"SREM", "k", "a"}, `["b"]`},
		{"ZINCRBY", []any{"ZADD", "k", 1, "a"}, []any{"ZINCRBY", "k", 2, "a"}, `[["a",3]]`},
		{"expiry", []any{"SET", "k", "a"}, []any{"PEXPIRE", "k", 20}, "null"},
		{"expiry in the past", []any{"SET", "k", "a"}, []any{"PEXPIRE", "k", -1}, "null"},
		{"RENAME to the key", []any{"SET", "k", "a"}, []any{"EVAL", "redis.call('SET', KEYS[1]..'x', 'b') redis.call('RENAME', KEYS[1]..'x', KEYS[1])", 1, "k"}, "b"},
		{"RENAME of the key", []any{"SET", "k", "a"}, []any{"EVAL", "redis.call('RENAME', KEYS[1], KEYS[1]..'x')", 1, "k"}, "null"},
		{"COPY to the key", []any{"SET", "k", "a"}, []any{"EVAL", "redis.call('SET', KEYS[1]..'x', 'b') redis.call('COPY', KEYS[1]..'x', KEYS[1], 'REPLACE')", 1, "k"}, "b"},
		{"another type", []any{"SET", "k", "a"}, []any{"EVAL", "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'a')", 1, "k"}, `["a"]`},
		{"the same text in another type", []any{"SET", "k", "[\"a\"]"}, []any{"EVAL", "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'b')", 1, "k"}, `["b"]`},
		{"an unsupported type", []any{"SET", "k", "a"}, []any{"EVAL", "redis.call('DEL', KEYS[1]) redis.call('XADD', KEYS[1], '*', 'a', '1')", 1, "k"}, `{"type":"stream"}`},
		{"the text null", []any{"SET", "k", "a"}, []any{"SET", "k", "null"}, "null"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := uniquePrefix() + "k"
			named := func(command []any) []any {
				command = slices.Clone(command)
				command[slices.Index(command, any("k"))] = name
				return command
			}
			server.Do(named(tt.before)...)
			literal, _ := follow(t, src, keyNamed(name))
			glob, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: name[:len(name)-1] + "?"})
			server.Do(named(tt.change)...)
			for who, w := range map[string]*recordingSink{"the literal": literal, "the glob": glob} {
				notes := w.last(t, tt.want)
				if len(notes) != 2 {
					t.Errorf("%s: got %v", who, notes)
				}
				if kind := notes[len(notes)-1].eventType; (kind == event.KeyDeleted) != (tt.want == "null" && tt.name != "the text null") {
					t.Errorf("%s: got type %q", who, kind)
				}
			}
		})
	}
}

func TestRedisKey_UnchangedValueIsNotEvent(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	server.Do("SET", "k", "a")
	server.Do("ZADD", "z", 1, "m")
	w, _ := follow(t, src, keyNamed("k"))
	z, _ := follow(t, src, keyNamed("z"))
	for _, command := range [][]any{
		{"SET", "k", "a"}, {"EXPIRE", "k", 1000}, {"PERSIST", "k"}, {"SET", "k", "a", "EX", 1000}, {"SETRANGE", "k", 0, "a"},
		{"EVAL", "redis.call('SET', 'k', 'b') redis.call('SET', 'k', 'a')", 0},
		{"ZADD", "z", 1, "m"}, {"EXPIRE", "z", 1000}, {"GET", "k"}, {"GET", "missing"},
	} {
		server.Do(command...)
	}
	server.Do("SET", "k", "b")
	server.Do("ZADD", "z", 2, "m")
	checkValues(t, "the string", w.last(t, "b"), "a", "b")
	checkValues(t, "the sorted set", z.last(t, `[["m",2]]`), `[["m",1]]`, `[["m",2]]`)
}

func TestRedisKey_BurstEndsOnLastValue(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	w, _ := follow(t, src, keyNamed("k"))
	glob, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "k*"})
	before := commandCalls(t, server, "get")
	const n = 1000
	server.Do("EVAL", fmt.Sprintf("for i = 1, %d do redis.call('SET', 'k', i) end", n), 0)
	w.last(t, fmt.Sprint(n))
	glob.last(t, fmt.Sprint(n))
	if reads := commandCalls(t, server, "get") - before; reads > n/2 {
		t.Errorf("%d writes: got %d reads for two topics", n, reads)
	}
	// Writes at intervals may each be an event. They end on the last value, too.
	pipe := server.Client().Pipeline()
	for i := range n {
		pipe.Set(t.Context(), "k", n+i, 0)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.last(t, fmt.Sprint(2*n-1))
	glob.last(t, fmt.Sprint(2*n-1))
}

func TestRedisKey_GlobCreationsAndDeletions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	server.Do("SET", "g:a", "1")
	server.Do("HSET", "g:b", "f", "1")
	server.Do("XADD", "g:s", "*", "f", "1")
	w, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "g:*"})
	w.count(t, 3)
	for i, step := range []struct {
		command []any
		want    string
	}{
		{[]any{"SET", "g:new", "x"}, `key:g:new   "x"`},
		{[]any{"DEL", "g:a"}, `key:g:a  key.deleted "null"`},
		{[]any{"EVAL", "redis.call('SET', 'g:unseen', 'x') redis.call('DEL', 'g:unseen') redis.call('SET', 'g:a', '2')", 0}, `key:g:a   "2"`},
		{[]any{"PEXPIRE", "g:new", 10}, `key:g:new  key.deleted "null"`},
		{[]any{"RENAME", "g:a", "out"}, `key:g:a  key.deleted "null"`},
		{[]any{"RENAME", "out", "g:in"}, `key:g:in   "2"`},
	} {
		server.Do(step.command...)
		notes := w.count(t, 4+i)
		if len(notes) != 4+i || notes[3+i].String() != step.want {
			t.Fatalf("after %v: got %v, want %s", step.command, notes[3+i:], step.want)
		}
	}
}

func TestRedisKey_GlobExcludesReservedKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	write(t, src, streamNamed("s"), source.Message{Data: []byte("x"), IdempotencyKey: "before", MaxLen: 10})
	w, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "*"})
	write(t, src, streamNamed("s"), source.Message{Data: []byte("x"), IdempotencyKey: "after", MaxLen: 10})
	server.Do("SET", "k", "the last")
	for _, n := range w.last(t, "the last") {
		if name := n.topic.Name(); name != "s" && name != "k" {
			t.Errorf("got reserved key %v", n)
		}
	}
}

func TestRedisKey_IgnoresOtherDatabases(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options, err := redis.ParseURL(server.URL() + "/3")
	if err != nil {
		t.Fatal(err)
	}
	src := redis.Open(options, "n", someHistory, quiet)
	t.Cleanup(func() { _ = src.Close() })
	server.Do("SET", "k", "in 0")
	w, _ := follow(t, src, keyNamed("k"))
	server.Do("SET", "k", "still in 0")
	writeText(t, src, keyNamed("k"), "in 3")
	checkValues(t, "the sink", w.last(t, "in 3"), "null", "in 3")
}

func TestRedisKey_ReconnectSendsChanges(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	for i := range 10 {
		server.Do("SET", fmt.Sprint("g:", i), "before")
	}
	server.Do("SET", "same", "before")
	glob, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "g:*"})
	literal, _ := follow(t, src, keyNamed("g:1"))
	same, _ := follow(t, src, keyNamed("same"))
	glob.count(t, 10)
	client := server.Client()
	// One script, so the connection is closed before any notification is sent.
	transaction(t, client, func(tx goredis.Pipeliner) {
		tx.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
		tx.Set(t.Context(), "g:1", "changed", 0)
		tx.Set(t.Context(), "g:new", "created", 0)
		tx.Del(t.Context(), "g:2")
	})
	notes := glob.count(t, 13)[10:]
	var got []string
	for _, n := range notes {
		got = append(got, n.String())
	}
	slices.Sort(got)
	want := []string{`key:g:1   "changed"`, `key:g:2  key.deleted "null"`, `key:g:new   "created"`}
	if !slices.Equal(got, want) {
		t.Errorf("glob: got %q, want %q", got, want)
	}
	checkValues(t, "the literal", literal.last(t, "changed"), "before", "changed")
	server.Do("SET", "same", "after")
	checkValues(t, "the one that was not changed", same.last(t, "after"), "before", "after")
}

func TestRedisKey_RestartSendsCurrentValues(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	server.Do("SET", "k", "before")
	w, f := follow(t, src, keyNamed("k"))
	glob, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "k*"})
	server.Kill()
	server.Restart() // empty
	w.last(t, "null")
	glob.last(t, "null")
	eventually(t, "live", func() bool { return f.Live(t.Context()) == nil })
	server.Do("SET", "k", "after")
	checkValues(t, "the sink", w.last(t, "after"), "before", "null", "after")
	checkValues(t, "the glob", glob.last(t, "after"), "before", "null", "after")
}

// notify-keyspace-events of another program does not matter, and the gateway sends no CONFIG.
func TestRedisKey_NeedsNoRedisSetting(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--notify-keyspace-events", "Elg")
	before := commandCalls(t, server, "config|get") + commandCalls(t, server, "config|set")
	src := connect(t, server, quiet)
	w, _ := follow(t, src, keyNamed("k"))
	glob, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "k*"})
	for i, flags := range []string{"", "KA", "Ex"} {
		server.Do("CONFIG", "SET", "notify-keyspace-events", flags)
		server.Do("SET", "k", i)
		w.last(t, fmt.Sprint(i))
		glob.last(t, fmt.Sprint(i))
	}
	if n := commandCalls(t, server, "config|get") + commandCalls(t, server, "config|set") - before; n != 3 {
		t.Errorf("got %d CONFIG commands, want the 3 of this test", n)
	}
}

// Redis reports the deletion of all keys without names.
func TestRedisKey_FlushDeletesKeys(t *testing.T) {
	t.Parallel()
	for _, flush := range []string{"FLUSHALL", "FLUSHDB"} {
		t.Run(flush, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			src := connect(t, server, quiet)
			server.Do("SET", "k", "before")
			w, _ := follow(t, src, keyNamed("k"))
			glob, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "k*"})
			server.Do(flush)
			checkValues(t, "the literal", w.last(t, "null"), "before", "null")
			checkValues(t, "the glob", glob.last(t, "null"), "before", "null")
			server.Do("SET", "k", "after")
			checkValues(t, "the literal", w.last(t, "after"), "before", "null", "after")
			checkValues(t, "the glob", glob.last(t, "after"), "before", "null", "after")
			if n := src.Reconnects(); n != 0 {
				t.Errorf("got %d reconnects", n)
			}
		})
	}
}

// A glob that exceeds the limit during an interruption ends with a gap. Its next subscriber gets
// the error.
func TestRedisKey_GlobGrowsTooLarge(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	server.Do("SET", "g:0", "before")
	w, f := follow(t, src, event.Topic{Kind: event.Key, Pattern: "g:*"})
	transaction(t, server.Client(), func(tx goredis.Pipeliner) {
		tx.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
		tx.Do(t.Context(), "EVAL", fmt.Sprintf("for i = 1, %d do redis.call('SET', 'g:' .. i, i) end return redis.call('SET', 'g:0', 'changed')", source.MaxKeys), 0)
	})
	notes := w.await(t, "a gap that ends the topic", func(notes []call) bool { return len(gapsIn(notes)) > 0 })
	if gap := gapsIn(notes)[0]; !errors.Is(gap.Failed, source.ErrTooManyKeys) {
		t.Errorf("got gap %+v", gap)
	}
	if err := f.Live(t.Context()); !errors.Is(err, source.ErrTooManyKeys) {
		t.Errorf("Live: got error %v", err)
	}
}

// Redis rejects overlapping prefixes of one connection, and compares all prefixes with each write.
func TestRedisKey_OverlappingAndManyGlobs(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	followed := make(map[string]*recordingSink)
	follow := func(pattern string) source.Following {
		w, f := follow(t, src, event.Topic{Kind: event.Key, Pattern: pattern})
		followed[pattern] = w
		return f
	}
	for i := range 200 {
		follow(fmt.Sprintf("g:%d:*", i))
	}
	covering := follow("g:*")
	follow("g:7:x*")
	for pattern, w := range followed {
		name := strings.ReplaceAll(pattern, "*", "") + "x:" + pattern
		server.Do("SET", name, pattern)
		w.await(t, "its key", func(notes []call) bool { return slices.Contains(eventData(notes), pattern) })
	}
	covering.Close()
	server.Do("SET", "g:7:x", "the last")
	followed["g:7:x*"].last(t, "the last")
	if n := src.Reconnects(); n != 0 {
		t.Errorf("got %d reconnects", n)
	}
	text, _ := server.Do("INFO", "clients").(string)
	if !strings.Contains(text, "tracking_clients:2\r") {
		t.Errorf("clients: %s", text)
	}
}

// Redis stops tracking the keys of a connection that breaks.
func TestRedisKey_LostTrackerIsReplaced(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	w, _ := follow(t, src, keyNamed("k"))
	glob, _ := follow(t, src, event.Topic{Kind: event.Key, Pattern: "k*"})
	transaction(t, server.Client(), func(tx goredis.Pipeliner) {
		tx.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal")
		tx.Set(t.Context(), "k", "1", 0)
	})
	w.last(t, "1")
	glob.last(t, "1")
	server.Do("SET", "k", "2")
	checkValues(t, "the literal", w.last(t, "2"), "null", "1", "2")
	checkValues(t, "the glob", glob.last(t, "2"), "1", "2")
}
