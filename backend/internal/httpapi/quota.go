package httpapi

import (
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// quotaSeconds is how many seconds' worth of events a publisher may send at once.
	quotaSeconds = 10
	// maxQuotas bounds the publishers that are remembered.
	maxQuotas = 1 << 15
)

// quota limits how fast each publisher publishes.
type quota struct {
	perSecond int // events; 0 for any number

	mu sync.Mutex
	// Publishers that were seen lately, and those that were seen before. When there are too
	// many of the first they become the second, and who is in neither is forgotten.
	lately, before map[string]*rate.Limiter
}

func newQuota(perSecond int) *quota {
	return &quota{perSecond: perSecond, lately: make(map[string]*rate.Limiter)}
}

// atOnce returns how many events a publisher may ever send in one request.
func (q *quota) atOnce() int {
	if q.perSecond == 0 {
		return math.MaxInt
	}
	return q.perSecond * quotaSeconds
}

// tooFastError is why a publish is refused that comes too soon.
type tooFastError struct{ wait time.Duration }

func (e tooFastError) Error() string {
	return fmt.Sprintf("more events than --publish-rate allows; try again in %s", e.wait.Round(time.Millisecond))
}

// take lets a publisher send n events, at most as many as atOnce says, or returns a
// tooFastError.
func (q *quota) take(publisher string, n int) error {
	if q.perSecond == 0 || n <= 0 {
		return nil
	}
	now := time.Now()
	r := q.of(publisher).ReserveN(now, n)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return tooFastError{wait}
	}
	return nil
}

func (q *quota) of(publisher string) *rate.Limiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lately[publisher]; l != nil {
		return l
	}
	l := q.before[publisher]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(q.perSecond), q.atOnce())
	}
	if len(q.lately) >= maxQuotas/2 {
		q.lately, q.before = make(map[string]*rate.Limiter), q.lately
	}
	q.lately[publisher] = l
	return l
}
