package redis_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

func TestRedis_LargeValueIsNotRead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	const size = 100 << 20
	server.Do("SETRANGE", "string", size, "x")
	for i := range 300 {
		server.Do("HSET", "hash", i, strings.Repeat("x", 64<<10))
	}
	before := outputBytes(t, server)
	w, _ := follow(t, src, parseTopic(t, "key:*"))
	unsupported := map[string]string{
		"string": `{"reason":"too large","type":"string"}`,
		"hash":   `{"reason":"too large","type":"hash"}`,
	}
	for _, n := range w.count(t, 2) {
		if n.eventType != event.KeyUnsupported || n.data != unsupported[n.topic.Name()] {
			t.Errorf("got %v", n)
		}
	}
	for range 20 {
		server.Do("APPEND", "string", "x")
	}
	server.Do("SET", "string", "small again")
	w.last(t, "small again")
	if got := outputBytes(t, server) - before; got > size/2 {
		t.Errorf("Redis has sent %d bytes of a value of %d bytes, which exceeds the limit", got, size)
	}
	if notes := w.all(); len(notes) != 3 {
		t.Errorf("got events %v for changes of a value that is too large", notes)
	}
}

// Redis estimates the size of a collection from a few of its elements.
func TestRedis_CollectionWithLargeElementIsNotRead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	large := strings.Repeat("x", 2*source.MaxValueBytes)
	collections := map[string][]any{"hash": {"HSET"}, "list": {"RPUSH"}, "set": {"SADD"}, "zset": {"ZADD"}}
	for kind, command := range collections {
		command = append(command, kind)
		for i := range 1000 {
			if kind == "hash" || kind == "zset" {
				command = append(command, i)
			}
			command = append(command, fmt.Sprint("small ", i))
		}
		server.Do(command...)
	}
	server.Do("HSET", "hash", "large", large)
	server.Do("RPUSH", "list", large)
	server.Do("SADD", "set", large)
	server.Do("ZADD", "zset", 1001, large)
	before := outputBytes(t, server)
	w, _ := follow(t, src, parseTopic(t, "key:*"))
	for _, n := range w.count(t, len(collections)) {
		if want := fmt.Sprintf(`{"reason":"too large","type":%q}`, n.topic.Name()); n.eventType != event.KeyUnsupported || n.data != want {
			t.Errorf("%s: got a %q of %d bytes", n.topic, n.eventType, len(n.data))
		}
	}
	for i := range 20 {
		server.Do("HSET", "hash", "small", i)
		server.Do("LSET", "list", 0, i)
	}
	server.Do("DEL", "hash")
	server.Do("HSET", "hash", "small", "again")
	w.last(t, `{"small":"again"}`)
	if got := outputBytes(t, server) - before; got > len(large)/2 {
		t.Errorf("Redis has sent %d bytes of elements of %d bytes, which exceed the limit", got, len(large))
	}
}

// Redis closes a connection whose output buffer exceeds the limit.
func TestRedis_BoundsConcurrentLargeReads(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--client-output-buffer-limit", fmt.Sprintf("normal %d 0 0", 2*source.MaxValueBytes))
	const n = 20
	value := strings.Repeat("x", source.MaxValueBytes/4)
	for i := range n {
		server.Do("SET", fmt.Sprint("string:", i), value)
		server.Do("HSET", fmt.Sprint("hash:", i), "field", value)
	}
	src := connect(t, server, quiet)
	w, _ := follow(t, src, parseTopic(t, "key:*"))
	for _, n := range w.count(t, 2*n) {
		if n.eventType != "" || len(n.data) < len(value) {
			t.Errorf("%s: got a %q of %d bytes", n.topic, n.eventType, len(n.data))
		}
	}
}

func TestRedis_LargeValueWithoutMemoryUsage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "-memory", "~*", "&*")
	options, err := redis.ParseURL(strings.Replace(server.URL(), "redis://", "redis://gateway:secret@", 1))
	if err != nil {
		t.Fatal(err)
	}
	src := redis.Open(options, "node", someHistory, quiet)
	t.Cleanup(func() { _ = src.Close() })
	server.Do("SETRANGE", "k", source.MaxValueBytes, "x")
	w, _ := follow(t, src, parseTopic(t, "key:k"))
	if n := w.count(t, 1)[0]; n.eventType != event.KeyUnsupported {
		t.Errorf("got a %q of %d bytes", n.eventType, len(n.data))
	}
	server.Do("SET", "k", "small")
	w.last(t, "small")
}

// Redis uses more memory for a value than its events have bytes.
func TestRedis_LimitIsOfTheValue(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	server.Do("SET", "exact", strings.Repeat("x", source.MaxValueBytes))
	server.Do("SET", "larger", strings.Repeat("x", source.MaxValueBytes+1))
	for range 75 { // Redis reserves room for more
		server.Do("APPEND", "grown", strings.Repeat("x", 100_000))
	}
	server.Do("EVAL", "for i = 1, 90000 do redis.call('ZADD', KEYS[1], i, 'member' .. i) end", 1, "zset")
	w, _ := follow(t, src, parseTopic(t, "key:*"))
	for _, n := range w.count(t, 4) {
		want := ""
		if n.topic.Name() == "larger" {
			want = event.KeyUnsupported
		}
		if n.eventType != want {
			t.Errorf("%s: got an event of type %q with %d bytes", n.topic, n.eventType, len(n.data))
		}
	}
}
