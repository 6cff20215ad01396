package compare

import (
	"context"
	"math"
	"time"
)

const (
	// latencyLimit is how long 99 of 100 messages may take at the peak.
	latencyLimit = 250 * time.Millisecond
	// firstStep is the factor between rates while none was too much, closeEnough between
	// the highest good and the lowest bad one in the end.
	firstStep   = 2
	closeEnough = 1.12
	// lowestRate is the least rate that is tried, in messages a second.
	lowestRate = 0.5
)

// peak returns the highest rate of messages a second at which all arrive, and in time, 0
// if there is none. The search begins at a rate near which the peak may be.
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

// search returns the highest rate that is good, as far as a few tries can tell.
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

// recover waits until a server has got rid of what was too much for it, and replaces the
// connections that it has cut.
func (s *session) recover(ctx context.Context, subscribers int) error {
	s.readers.Await(math.MaxInt64, s.settle)
	return s.fill(ctx, subscribers)
}
