package delivery

import "time"

// instant is a time for those who keep many: nanoseconds since this process began, on the
// clock that nobody sets. Zero is no time.
type instant int64

var began = time.Now()

func instantOf(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.Sub(began))
}

func (i instant) since(earlier instant) time.Duration {
	return time.Duration(i - earlier)
}
