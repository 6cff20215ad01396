package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	longest       = 10 * time.Minute // that a message may take
	latencyDigits = 3                // that are significant
)

// Tally is what all connections together got since the last call of [Readers.Reset].
type Tally struct {
	Messages int64                   // published since then
	Wrong    int64                   // of these, not the next after the one before on the same connection
	Pings    int64                   // reads that brought a heartbeat and no message
	Gone     int64                   // connections that ended
	Latency  *hdrhistogram.Histogram // from just before a message was published until it was read, in µs
	Slowest  time.Duration
}

func newTally() Tally {
	return Tally{Latency: hdrhistogram.New(1, longest.Microseconds(), latencyDigits)}
}

func (t *Tally) take(latency time.Duration) {
	t.Messages++
	t.Slowest = max(t.Slowest, latency)
	_ = t.Latency.RecordValue(min(max(latency, 0), longest).Microseconds()) // it is in range
}
