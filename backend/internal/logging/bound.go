// Package logging bounds the number of lines in a log. Otherwise, a client could fill a disk.
package logging

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

const (
	// burst is the number of lines with one message and client that are written at once.
	burst = 100
	// perSecond is the rate of such lines after the burst.
	perSecond = 1
	// maxLimiters bounds the messages and clients whose rate is remembered.
	maxLimiters = 4096
	// reportDelay is the time from the first suppressed line to the report of their number.
	reportDelay = 5 * time.Second
)

// clientKey is the key of the attribute with the address of a client.
const clientKey = "client"

// Bound returns a handler that bounds the rate of the records that it passes to next: per
// message, and per client if a record has the attribute client. It counts the other records and
// reports their number. Records below the level least are not bounded.
func Bound(next slog.Handler, least slog.Level) slog.Handler {
	limiters, _ := lru.New[source, *rate.Limiter](maxLimiters) // it fails only for a size below 1
	return &handler{next, &bound{least: least, report: next, limiters: limiters, suppressed: make(map[string]int)}}
}

// handler is a view of a bound with its own attributes and groups.
type handler struct {
	slog.Handler
	bound *bound
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if !h.bound.allow(r) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs), h.bound}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.bound}
}

// source identifies the records that share a limiter.
type source struct{ message, client string }

// bound is shared by the handlers of one log.
type bound struct {
	least  slog.Level
	report slog.Handler

	mu         sync.Mutex
	limiters   *lru.Cache[source, *rate.Limiter]
	suppressed map[string]int // lines by message, since the last report
}

// allow reports whether a record is to be written, and counts it if not.
func (b *bound) allow(r slog.Record) bool {
	if r.Level < b.least {
		return true
	}
	from := source{message: r.Message}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == clientKey {
			from.client = a.Value.String()
		}
		return from.client == ""
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	limiter, ok := b.limiters.Get(from)
	if !ok {
		limiter = rate.NewLimiter(perSecond, burst)
		b.limiters.Add(from, limiter)
	}
	if limiter.Allow() {
		return true
	}
	if len(b.suppressed) == 0 {
		time.AfterFunc(reportDelay, b.reportSuppressed)
	}
	b.suppressed[r.Message]++
	return false
}

// reportSuppressed writes the number of suppressed lines of each message.
func (b *bound) reportSuppressed() {
	b.mu.Lock()
	suppressed := b.suppressed
	b.suppressed = make(map[string]int)
	b.mu.Unlock()
	for _, message := range slices.Sorted(maps.Keys(suppressed)) {
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines suppressed", 0)
		r.AddAttrs(slog.String("message", message), slog.Int("count", suppressed[message]))
		_ = b.report.Handle(context.Background(), r) // an error of the log cannot be logged
	}
}
