package compare

import (
	"context"
	"math"
	"time"
)

const (
	// latencyLimit is the maximum of the 99th percentile of the latency at the peak.
	latencyLimit = 250 * time.Millisecond
	// firstStep is the factor between rates until one rate has passed and one has failed.
	firstStep = 2
	// closeEnough is the ratio of the lowest failed to the highest passed rate at which the
	// search ends.
	closeEnough = 1.12
	// lowestRate is the minimum rate of the search, in messages per second.
	lowestRate = 0.5
)

// peak returns the highest rate in messages per second at which all messages arrive within
// latencyLimit, or 0. The search begins at near. It calls watch after each step.
func (s *session) peak(ctx context.Context, near float64, step time.Duration, watch func(rate float64, p phase, good bool)) (float64, error) {
	subscribers := s.readers.Count()
	return search(near, func(rate float64) (good bool, err error) {
		p, err := s.run(ctx, rate, max(step, time.Duration(float64(time.Second)/rate)))
		if err != nil {
			return false, err
		}
		good = p.complete() == nil && p.p99() <= latencyLimit
		watch(rate, p, good)
		if good {
			return true, nil
		}
		return false, s.recover(ctx, subscribers)
	})
}

// search returns the approximate highest rate for which try returns true, or 0 if it returns false
// down to lowestRate.
func search(near float64, try func(rate float64) (good bool, err error)) (float64, error) {
	good, bad := 0.0, math.Inf(1)
	for rate := near; rate >= lowestRate && bad/good > closeEnough; {
		isGood, err := try(rate)
		if err != nil {
			return 0, err
		}
		if isGood {
			good = rate
		} else {
			bad = rate
		}
		switch {
		case good == 0:
			rate = bad / firstStep
		case math.IsInf(bad, 1):
			rate = good * firstStep
		default:
			rate = math.Sqrt(good * bad)
		}
	}
	return good, nil
}

// recover waits until a server has stopped sending, and replaces the connections that it has closed.
func (s *session) recover(ctx context.Context, subscribers int) error {
	s.readers.Await(math.MaxInt64, s.settle)
	return s.fill(ctx, subscribers)
}
