// Package metrics holds the counters of the process for /stats and Prometheus. Other packages
// update them through interfaces that they define.
package metrics

import (
	"runtime/metrics"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/event"
)

// Metrics holds the counters of this process. Its methods may be called from any goroutine.
type Metrics struct {
	connections    atomic.Int64
	maxConnections atomic.Int64
	opened         atomic.Int64
	stalled        atomic.Int64
	slowClients    atomic.Int64
	rejected       [len(closeReasons)]atomic.Int64

	events         [event.Key + 1]atomic.Int64 // by kind
	gaps           [len(gapReasons)]atomic.Int64
	replayReads    atomic.Int64
	unreadableKeys atomic.Int64

	deliveries atomic.Int64
	bytes      atomic.Int64
	latency    prometheus.Histogram
	redisLag   prometheus.Histogram
}

var gapReasons = [...]event.GapReason{
	event.HistoryExpired, event.UnknownCursor, event.SourceInterrupted, event.SlowConsumer, event.TooLarge,
}

var closeReasons = [...]event.CloseReason{
	event.Draining, event.TokenExpired, event.Unavailable, event.Overloaded,
}

// New returns counters that are all zero.
func New() *Metrics {
	return &Metrics{
		latency: histogram("delivery_latency_seconds",
			"Time from the arrival of an event to the end of its write to all clients whose sockets accepted it. "+
				"Sampled: the oldest event of a round of writing."),
		redisLag: histogram("redis_lag_seconds",
			"Time from publishing a message to its arrival from Redis. Sampled: the gateway's own probes."),
	}
}

func histogram(name, help string) prometheus.Histogram {
	buckets := []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "sluice", Name: name, Help: help, Buckets: buckets})
}

// EventReceived counts an event from a source.
func (m *Metrics) EventReceived(kind event.Kind) {
	m.events[kind].Add(1)
}

// GapAnnounced counts a gap.
func (m *Metrics) GapAnnounced(reason event.GapReason) {
	if i := slices.Index(gapReasons[:], reason); i >= 0 {
		m.gaps[i].Add(1)
	}
}

// ReplayRead counts a read of stream entries on behalf of subscribers. Equal reads at the same time count
// once.
func (m *Metrics) ReplayRead() {
	m.replayReads.Add(1)
}

// SetMaxConnections sets the limit of open subscriptions.
func (m *Metrics) SetMaxConnections(n int) {
	m.maxConnections.Store(int64(n))
}

// ConnectionOpened counts a connection and returns how many are open.
func (m *Metrics) ConnectionOpened() int64 {
	m.opened.Add(1)
	return m.connections.Add(1)
}

// ConnectionClosed counts the end of a connection and returns how many are open.
func (m *Metrics) ConnectionClosed() int64 {
	return m.connections.Add(-1)
}

// Rejected counts a subscription that was rejected because the gateway could not serve it.
func (m *Metrics) Rejected(reason event.CloseReason) {
	if i := slices.Index(closeReasons[:], reason); i >= 0 {
		m.rejected[i].Add(1)
	}
}

// Delivered counts frames and bytes written to clients.
func (m *Metrics) Delivered(frames, bytes int) {
	m.deliveries.Add(int64(frames))
	m.bytes.Add(int64(bytes))
}

// Written records the age of an event after the write to all clients.
func (m *Metrics) Written(age time.Duration) {
	m.latency.Observe(age.Seconds())
}

// KeyUnreadable counts a key that was left out of a glob because Redis forbids reading it.
func (m *Metrics) KeyUnreadable() {
	m.unreadableKeys.Add(1)
}

// RedisLag records the time from the publish of a message to its arrival.
func (m *Metrics) RedisLag(lag time.Duration) {
	m.redisLag.Observe(lag.Seconds())
}

// Stalled adds to the number of connections whose send buffer is full, or that have blocked a write for a
// second.
func (m *Metrics) Stalled(change int) {
	m.stalled.Add(int64(change))
}

// SlowClientCut counts a client that was disconnected because it accepted no data.
func (m *Metrics) SlowClientCut() {
	m.slowClients.Add(1)
}

// Snapshot holds the current values of the main counters, in the format of /stats.
type Snapshot struct {
	Connections int64 `json:"connections"` // open connections
	Topics      int   `json:"topics"`      // followed topics, which the caller sets
	Events      int64 `json:"events"`
	Deliveries  int64 `json:"deliveries"`
	Gaps        int64 `json:"gaps"`         // gaps of any reason
	SlowClients int64 `json:"slow_clients"` // clients that were disconnected
	MemoryBytes int64 `json:"memory_bytes"` // memory of the Go runtime
}

// Snapshot returns the current values. They are read one after the other, not atomically.
func (m *Metrics) Snapshot() Snapshot {
	s := Snapshot{
		Connections: m.connections.Load(),
		Deliveries:  m.deliveries.Load(),
		SlowClients: m.slowClients.Load(),
		MemoryBytes: memoryBytes(),
	}
	for _, kind := range event.Kinds {
		s.Events += m.events[kind].Load()
	}
	for i := range m.gaps {
		s.Gaps += m.gaps[i].Load()
	}
	return s
}

// memoryBytes returns the memory that the Go runtime holds, without the memory that it has
// released to the system.
func memoryBytes() int64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}
