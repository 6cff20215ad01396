package admission

import (
	"fmt"
	"math"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

const (
	// burstSeconds is the number of seconds of events that a publisher may send at once.
	burstSeconds = 10
	// maxPublishers bounds the publishers whose rate is remembered.
	maxPublishers = 1 << 14
)

// PublishLimiter bounds the rate of each publisher. Its methods may be called from any
// goroutine.
type PublishLimiter struct {
	perSecond int // events; 0 for no limit
	limiters  *lru.Cache[string, *rate.Limiter]
}

// NewPublishLimiter returns a limiter of that many events per second and publisher; 0 means no
// limit.
func NewPublishLimiter(perSecond int) *PublishLimiter {
	limiters, _ := lru.New[string, *rate.Limiter](maxPublishers) // it fails only for a size below 1
	return &PublishLimiter{perSecond: perSecond, limiters: limiters}
}

// Burst returns how many events a publisher can send in one request.
func (l *PublishLimiter) Burst() int {
	if l.perSecond == 0 {
		return math.MaxInt
	}
	return l.perSecond * burstSeconds
}

// RateError is returned when a publisher exceeds its rate. Wait is the time after which the
// same events are accepted.
type RateError struct{ Wait time.Duration }

func (e RateError) Error() string {
	return fmt.Sprintf("more events than --publish-rate allows; try again in %s", e.Wait.Round(time.Millisecond))
}

// Allow counts n events of a publisher, at most [PublishLimiter.Burst], or returns a RateError
// and counts nothing.
func (l *PublishLimiter) Allow(publisher string, n int) error {
	if l.perSecond == 0 || n <= 0 {
		return nil
	}
	now := time.Now()
	r := l.limiter(publisher).ReserveN(now, n)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return RateError{wait}
	}
	return nil
}

func (l *PublishLimiter) limiter(publisher string) *rate.Limiter {
	if known, ok := l.limiters.Get(publisher); ok {
		return known
	}
	created := rate.NewLimiter(rate.Limit(l.perSecond), l.Burst())
	if known, ok, _ := l.limiters.PeekOrAdd(publisher, created); ok {
		return known
	}
	return created
}
