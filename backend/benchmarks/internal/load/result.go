package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	maxLatency    = 10 * time.Minute
	latencyDigits = 3 // significant digits
)

// Result sums up all connections since the last call of [Readers.Reset].
type Result struct {
	Messages int64                   // messages that were published and read since then
	Wrong    int64                   // of those, messages whose number does not follow the one before
	Pings    int64                   // reads with a heartbeat and no message
	Gone     int64                   // connections that ended
	Latency  *hdrhistogram.Histogram // time from just before the publish until the read, in µs
	Slowest  time.Duration           // highest latency
}

func newResult() Result {
	return Result{Latency: hdrhistogram.New(1, maxLatency.Microseconds(), latencyDigits)}
}

func (t *Result) add(latency time.Duration) {
	t.Messages++
	t.Slowest = max(t.Slowest, latency)
	_ = t.Latency.RecordValue(min(max(latency, 0), maxLatency).Microseconds()) // it is in range
}
