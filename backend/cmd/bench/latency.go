package main

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	latencyShards = 8
	maxLatency    = 10 * time.Minute
	latencyDigits = 3 // significant digits
)

// latencies is a histogram of the times from just before a message is published until a
// subscriber has received it. Its methods may be called from any goroutine.
type latencies struct {
	shards [latencyShards]struct {
		mu sync.Mutex
		h  *hdrhistogram.Histogram // in microseconds
	}
}

func newLatencies() *latencies {
	l := new(latencies)
	for i := range l.shards {
		l.shards[i].h = hdrhistogram.New(1, maxLatency.Microseconds(), latencyDigits)
	}
	return l
}

// record adds a duration. The shard may be any number; different numbers reduce contention.
func (l *latencies) record(shard int, d time.Duration) {
	s := &l.shards[shard%latencyShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.h.RecordValue(min(max(d, 0), maxLatency).Microseconds()) // never fails in this range
}

// latency holds the percentiles and the maximum, in milliseconds.
type latency struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

func (l *latencies) result() latency {
	all := hdrhistogram.New(1, maxLatency.Microseconds(), latencyDigits)
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		all.Merge(s.h)
		s.mu.Unlock()
	}
	millis := func(micros int64) float64 { return float64(micros) / 1000 }
	return latency{
		P50:  millis(all.ValueAtQuantile(50)),
		P99:  millis(all.ValueAtQuantile(99)),
		P999: millis(all.ValueAtQuantile(99.9)),
		Max:  millis(all.Max()),
	}
}
