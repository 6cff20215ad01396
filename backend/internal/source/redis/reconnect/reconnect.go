// Package reconnect spaces the attempts of this program to reach Redis.
package reconnect

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	first  = 100 * time.Millisecond
	atMost = 2 * time.Second
)

// Delays returns the delays before the next attempts. They are random, so gateways do not return
// together, and grow from about 0.1 s to at most 3 s until Reset is called.
func Delays() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = first, atMost
	return b
}

// Wait blocks for a duration, or until the context ends.
func Wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
