package delivery

import "time"

// progress measures for how long a client has acknowledged no data, although the send buffer holds
// some. The kernel closes the connection of a client that has disappeared only after about 15
// minutes. With a shorter TCP_USER_TIMEOUT it also closes connections of clients that read slowly.
type progress struct {
	sent         uint32  // bytes written to the socket, modulo 1<<32
	acknowledged uint32  // acknowledged bytes at the last call of stalled, modulo 1<<32
	since        instant // time of the call that first saw this value; zero if the buffer was empty
}

// stalled reports whether the client has acknowledged no data for the timeout. held is the number of
// unacknowledged bytes. stalled detects progress only between its calls, so it must be called
// regularly.
func (p *progress) stalled(held int, now time.Time, timeout time.Duration) bool {
	acknowledged := p.sent - uint32(held)
	switch {
	case held == 0:
		p.since = 0
	case p.since == 0 || acknowledged != p.acknowledged:
		p.acknowledged, p.since = acknowledged, toInstant(now)
	default:
		return toInstant(now).since(p.since) >= timeout
	}
	return false
}

// instant is a compact time: nanoseconds since the start of this process on the monotonic clock.
// Zero represents the zero [time.Time].
type instant int64

var processStart = time.Now()

func toInstant(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.Sub(processStart))
}

func (i instant) since(earlier instant) time.Duration {
	return time.Duration(i - earlier)
}
