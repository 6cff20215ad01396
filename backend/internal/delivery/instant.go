package delivery

import "time"

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
