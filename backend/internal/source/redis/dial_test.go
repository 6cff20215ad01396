package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

// openPublisher opens a publisher. Its pool has its only connections.
func openPublisher(t *testing.T, url string) *redis.Publisher {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	p := redis.OpenPublisher(options)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// A NAT that restarts drops the state of all connections at once.
func TestPublisher_OneTimeoutClosesPool(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	p := openPublisher(t, "redis://"+proxy.Addr()+"?read_timeout=1s")
	release := proxy.Hold(t)
	const pooled = 8
	var publishing sync.WaitGroup
	for range pooled {
		publishing.Go(func() { _, _ = p.Publish(t.Context(), channelNamed("a"), text("x")) })
	}
	eventually(t, "all are connected", func() bool {
		return strings.Count(fmt.Sprint(server.Do("CLIENT", "LIST")), "id=") > pooled
	})
	release()
	publishing.Wait()
	proxy.Drop()
	failed := 0
	for range 2 * pooled {
		if _, err := p.Publish(t.Context(), channelNamed("a"), text("x")); err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("got %d failed publishes, want only the first", failed)
	}
}

func TestPublisher_RepeatsIdempotentPublishOnly(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	p := openPublisher(t, "redis://"+proxy.Addr()+"?read_timeout=1s")
	write(t, p, streamNamed("s"), source.Message{IdempotencyKey: "has Redis load the script"})
	for name, fail := range map[string]func(){
		"lost request": proxy.CutAtRequest, "lost reply": proxy.CutAtReply, "forgotten": proxy.Drop,
	} {
		for _, key := range []string{"", "key"} {
			stream := streamNamed(name + key)
			write(t, p, channelNamed("a"), text("connects"))
			fail()
			_, err := p.Publish(t.Context(), stream, source.Message{Data: []byte("x"), IdempotencyKey: key})
			switch {
			case key != "" && err != nil:
				t.Errorf("%s: idempotent publish: got error %v", name, err)
			case key == "" && !errors.Is(err, source.ErrUnavailable):
				t.Errorf("%s: publish: got error %v", name, err)
			}
			want := int64(1)
			if key == "" && name != "lost reply" {
				want = 0
			}
			if got := server.Do("XLEN", stream.Name()); got != want {
				t.Errorf("%s %s: got %v entries, want %d", name, key, got, want)
			}
			for n := 0; ; n++ {
				if _, err := p.Publish(t.Context(), channelNamed("a"), text("x")); err == nil {
					break
				} else if n == 1 {
					t.Fatalf("%s: next publish: got error %v", name, err)
				}
			}
		}
	}
}

func TestRedis_RepeatsReadOnOtherConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	src := openRedis(t, "redis://"+proxy.Addr())
	writeText(t, src, streamNamed("s"), "1", "2")
	for name, cut := range map[string]func(){"request": proxy.CutAtRequest, "reply": proxy.CutAtReply} {
		for range 10 {
			r := source.Range{UpTo: event.MaxStreamID, Count: 10}
			if _, err := src.Range(t.Context(), streamNamed("s"), r); err != nil {
				t.Fatal(err)
			}
			cut()
			page, err := src.Range(t.Context(), streamNamed("s"), r)
			if err != nil || len(page.Entries) != 2 {
				t.Fatalf("connection cut at the %s: got %d entries, error %v", name, len(page.Entries), err)
			}
		}
	}
}
