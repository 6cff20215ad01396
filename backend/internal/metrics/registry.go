package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sluice/internal/event"
)

// Figures holds values of other packages. The functions are called at each scrape, from any
// goroutine.
type Figures struct {
	Version       string
	Ready         func() bool
	Topics        func() int // followed topics
	TopicsInUse   func() int // topics that count against MaxTopics
	MaxTopics     int        // 0 for no limit
	JournalBytes  func() int
	KeyBytes      func() int
	TopicBytes    func() int
	MaxTopicBytes int
	Reconnects    func() int64 // reconnections to Redis so far
}

// Registry returns a Prometheus registry of the counters, the figures, and the standard metrics of
// the Go runtime and the process.
func (m *Metrics) Registry(f Figures) *prometheus.Registry {
	r := registry{prometheus.NewRegistry()}

	r.gauge("build_info", "The version that runs.", prometheus.Labels{"version": f.Version}, func() float64 { return 1 })
	r.gauge("ready", "1 if published messages reach this gateway, else 0.", nil, func() float64 {
		if f.Ready() {
			return 1
		}
		return 0
	})

	r.gauge("connections", "Open subscriptions.", nil, of(m.connections.Load))
	r.gauge("max_connections", "Limit of subscriptions: the configured one, or what the limit of open files allows.",
		nil, of(m.maxConnections.Load))
	r.counter("connections_opened_total", "Subscriptions that were opened.", nil, of(m.opened.Load))
	r.gauge("stalled_connections", "Connections whose send buffer is full; over HTTP/2 and TLS, for at least a second.",
		nil, of(m.stalled.Load))
	r.counter("slow_clients_total", "Clients disconnected because they accepted no data.", nil, of(m.slowClients.Load))
	for i, reason := range closeReasons {
		r.counter("rejected_requests_total", "Subscriptions rejected because the gateway could not serve them, by reason.", prometheus.Labels{"reason": string(reason)}, of(m.rejected[i].Load))
	}

	r.gauge("topics", "Topics that are followed.", nil, of(f.Topics))
	r.gauge("topics_in_use", "Topics that have a subscriber or are default topics. Others are no longer followed when the limit is reached.", nil,
		of(f.TopicsInUse))
	if f.MaxTopics > 0 {
		r.gauge("max_topics", "Limit of topics in use; missing if there is none.", nil, func() float64 { return float64(f.MaxTopics) })
	}
	r.gauge("journal_bytes", "Bytes of recent events held in memory.", nil, of(f.JournalBytes))
	r.gauge("topic_bytes", "Bytes held in memory for all topics: journals, values, replays in progress.", nil, of(f.TopicBytes))
	r.gauge("max_topic_bytes", "Limit of topic_bytes.", nil, func() float64 { return float64(f.MaxTopicBytes) })
	r.gauge("key_bytes", "Bytes of the values of keys held in memory.", nil, of(f.KeyBytes))
	for _, kind := range event.Kinds {
		r.counter("events_total", "Events received from the followed topics, by kind.",
			prometheus.Labels{"kind": kind.String()}, of(m.events[kind].Load))
	}
	for i, reason := range gapReasons {
		r.counter("gaps_total", "Gaps announced, by reason: one for each interruption of a topic, and one for each subscriber whose position was lost.",
			prometheus.Labels{"reason": string(reason)}, of(m.gaps[i].Load))
	}
	r.counter("redis_reconnects_total", "Connections to Redis that were established again after they broke.", nil, of(f.Reconnects))
	r.counter("unreadable_keys_total", "Keys left out of a glob because Redis forbids reading them, counted at each read.",
		nil, of(m.unreadableKeys.Load))
	r.counter("replay_reads_total", "Pages of streams read from Redis for subscribers that resume.", nil, of(m.replayReads.Load))

	r.counter("deliveries_total", "Events written to clients.", nil, of(m.deliveries.Load))
	r.counter("delivered_bytes_total", "Bytes of events written to clients.", nil, of(m.bytes.Load))

	r.MustRegister(m.latency, m.redisLag, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r.Registry
}

type registry struct{ *prometheus.Registry }

func (r registry) counter(name, help string, labels prometheus.Labels, value func() float64) {
	r.MustRegister(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Namespace: "sluice", Name: name, Help: help, ConstLabels: labels}, value))
}

func (r registry) gauge(name, help string, labels prometheus.Labels, value func() float64) {
	r.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: "sluice", Name: name, Help: help, ConstLabels: labels}, value))
}

func of[T int | int64](value func() T) func() float64 {
	return func() float64 { return float64(value()) }
}
