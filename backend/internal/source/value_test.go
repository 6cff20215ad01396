package source_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/event"
	"sluice/internal/redistest"
	"sluice/internal/source"
)

// sent returns how many bytes a server has sent so far.
func sent(t *testing.T, server *redistest.Server) int {
	t.Helper()
	info, _ := server.Do("INFO", "stats").(string)
	found := regexp.MustCompile(`total_net_output_bytes:(\d+)`).FindStringSubmatch(info)
	if found == nil {
		t.Fatalf("INFO is %q", info)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRedis_ValueThatIsTooLargeIsNotReadButTold(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connect(t, server, quiet)
	const size = 100 << 20
	server.Do("SETRANGE", "string", size, "x")
	for i := range 200 {
		server.Do("HSET", "hash", i, strings.Repeat("x", 64<<10))
	}
	before := sent(t, server)
	w, _ := takeUp(t, src, topicOf(t, "key:*"))
	unsupported := map[string]string{
		"string": `{"reason":"too large","type":"string"}`,
		"hash":   `{"reason":"too large","type":"hash"}`,
	}
	for _, n := range w.count(t, 2) {
		if n.kind != event.KeyUnsupported || n.value != unsupported[n.topic.Name()] {
			t.Errorf("the sink sees %v", n)
		}
	}
	for range 20 {
		server.Do("APPEND", "string", "x")
	}
	server.Do("SET", "string", "small again")
	w.last(t, "small again")
	if got := sent(t, server) - before; got > size/2 {
		t.Errorf("Redis has sent %d bytes of a value of %d that nobody can be shown", got, size)
	}
	if notes := w.all(); len(notes) != 3 {
		t.Errorf("changes of a value that cannot be shown are events: %v", notes)
	}
}

func TestRedis_ValueThatIsTooLargeIsNotShownWhereRedisKeepsItsSizeToItself(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "-memory", "~*", "&*")
	options, err := source.ParseRedisURL(strings.Replace(server.URL(), "redis://", "redis://gateway:secret@", 1))
	if err != nil {
		t.Fatal(err)
	}
	src := source.OpenRedis(options, "node", someHistory, quiet)
	t.Cleanup(func() { _ = src.Close() })
	server.Do("SETRANGE", "k", source.MaxValueBytes, "x")
	w, _ := takeUp(t, src, topicOf(t, "key:k"))
	if n := w.count(t, 1)[0]; n.kind != event.KeyUnsupported {
		t.Errorf("the sink sees a %q of %d bytes", n.kind, len(n.value))
	}
	server.Do("SET", "k", "small")
	w.last(t, "small")
}
