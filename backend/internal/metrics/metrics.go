// Package metrics counts what the other packages report through interfaces of their
// own, for /stats and for Prometheus.
package metrics

import (
	"runtime/metrics"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sluice/internal/event"
)

// Metrics holds the counters of this process. The zero value is ready to use, from
// any goroutine.
type Metrics struct {
	events      atomic.Int64
	deliveries  atomic.Int64
	bytes       atomic.Int64
	connections atomic.Int64
	slowClients atomic.Int64
	gaps        [len(reasons)]atomic.Int64
}

var reasons = [...]event.GapReason{
	event.HistoryExpired, event.UnknownCursor, event.SourceInterrupted, event.SlowConsumer,
}

// EventReceived counts an event that came from a source.
func (m *Metrics) EventReceived() {
	m.events.Add(1)
}

// GapAnnounced counts a gap.
func (m *Metrics) GapAnnounced(reason event.GapReason) {
	for i, r := range reasons {
		if r == reason {
			m.gaps[i].Add(1)
		}
	}
}

// ConnectionOpened counts a connection and returns how many are open.
func (m *Metrics) ConnectionOpened() int64 {
	return m.connections.Add(1)
}

// ConnectionClosed takes a connection off and returns how many are open.
func (m *Metrics) ConnectionClosed() int64 {
	return m.connections.Add(-1)
}

// Delivered counts frames written to a client.
func (m *Metrics) Delivered(frames, bytes int) {
	m.deliveries.Add(int64(frames))
	m.bytes.Add(int64(bytes))
}

// SlowClientCut counts a client that was cut off.
func (m *Metrics) SlowClientCut() {
	m.slowClients.Add(1)
}

// Snapshot is the state of all counters at one moment.
type Snapshot struct {
	Connections int64 // open now
	Events      int64
	Deliveries  int64
	Gaps        int64 // of any reason
	SlowClients int64 // cut off
	MemoryBytes int64 // that the process has from the system
}

// Snapshot returns the state of this moment.
func (m *Metrics) Snapshot() Snapshot {
	s := Snapshot{
		Connections: m.connections.Load(),
		Events:      m.events.Load(),
		Deliveries:  m.deliveries.Load(),
		SlowClients: m.slowClients.Load(),
		MemoryBytes: memoryBytes(),
	}
	for i := range m.gaps {
		s.Gaps += m.gaps[i].Load()
	}
	return s
}

// memoryBytes returns the memory that the Go runtime holds, without what it gave back
// to the system.
func memoryBytes() int64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// Registry returns a Prometheus registry of the counters, and of hub's figures.
func (m *Metrics) Registry(topics, journalBytes func() float64) *prometheus.Registry {
	r := prometheus.NewRegistry()
	counter := func(name, help string, labels prometheus.Labels, value *atomic.Int64) {
		r.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Namespace: "sluice", Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value.Load()) }))
	}
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "sluice", Name: name, Help: help}, value))
	}
	counter("events_total", "Events that came from the followed topics.", nil, &m.events)
	counter("deliveries_total", "Events written to clients.", nil, &m.deliveries)
	counter("delivered_bytes_total", "Bytes of events written to clients.", nil, &m.bytes)
	counter("slow_clients_total", "Clients cut off because they took nothing.", nil, &m.slowClients)
	for i, reason := range reasons {
		counter("gaps_total", "Gaps announced.", prometheus.Labels{"reason": string(reason)}, &m.gaps[i])
	}
	gauge("connections", "Open subscriptions.", func() float64 { return float64(m.connections.Load()) })
	gauge("topics", "Topics that are followed.", topics)
	gauge("journal_bytes", "Memory held by recent events.", journalBytes)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
