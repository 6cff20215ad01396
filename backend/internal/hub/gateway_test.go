package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

// testTimeout bounds every wait of these tests.
const testTimeout = time.Minute

// noMetrics records nothing.
type noMetrics struct{}

func (noMetrics) EventReceived(event.Kind)     {}
func (noMetrics) GapAnnounced(event.GapReason) {}
func (noMetrics) ReplayRead()                  {}

// gateway is the hub and the source of one process.
type gateway struct {
	*hub.Hub
	source source.Source
}

// history bounds a journal by its events.
func history(n int) journal.Limits {
	return journal.Limits{Events: n, Bytes: 1 << 30}
}

func newGateway(t testing.TB, src source.Source, limits journal.Limits) gateway {
	t.Helper()
	h := hub.New(src, hub.Options{Node: "n", History: limits, Linger: time.Hour}, noMetrics{})
	t.Cleanup(func() {
		h.Close()
		_ = src.Close()
	})
	return gateway{h, src}
}

// redisGateway returns a gateway with a new source on a Redis server.
func redisGateway(t testing.TB, server *redistest.Server, limits journal.Limits) gateway {
	t.Helper()
	return newGateway(t, redisSource(t, server, limits), limits)
}

func redisSource(t testing.TB, server *redistest.Server, limits journal.Limits) *redis.Source {
	t.Helper()
	return sourceAt(t, server.URL(), limits)
}

func sourceAt(t testing.TB, url string, limits journal.Limits) *redis.Source {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	fill := source.Fill{Events: limits.Events, Bytes: limits.Bytes}
	return redis.Open(options, fmt.Sprintf("node%d", rand.Uint32()), fill, slog.New(slog.DiscardHandler))
}

// settle waits until every message that was published to channels, or to the other topics, has
// arrived.
func (g gateway) settle(t testing.TB, others ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := g.Sync(ctx, topics(t, others...)...); err != nil {
		t.Fatal(err)
	}
}

func entryID(cursor string) string {
	id, _, _ := strings.Cut(cursor, ".")
	return id
}

// reads returns how often a server executed the commands.
func reads(t testing.TB, server *redistest.Server, commands ...string) int {
	t.Helper()
	text, _ := server.Do("INFO", "commandstats").(string)
	total := 0
	for _, command := range commands {
		_, rest, found := strings.Cut(text, "cmdstat_"+command+":calls=")
		var n int
		if found {
			if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
				t.Fatal(err)
			}
		}
		total += n
	}
	return total
}

// rangeRecorder is a source that records the reads of streams.
type rangeRecorder struct {
	source.Source
	before func() // called before each read if not nil

	mu      sync.Mutex
	all     []source.Range
	now     int
	mostNow int
}

// count returns the number of reads.
func (r *rangeRecorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

func (r *rangeRecorder) Range(ctx context.Context, topic event.Topic, q source.Range) (source.Page, error) {
	r.mu.Lock()
	r.all = append(r.all, q)
	r.now++
	r.mostNow = max(r.mostNow, r.now)
	r.mu.Unlock()
	if r.before != nil {
		r.before()
	}
	defer func() {
		r.mu.Lock()
		r.now--
		r.mu.Unlock()
	}()
	return r.Source.Range(ctx, topic, q)
}
