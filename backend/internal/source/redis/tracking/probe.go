package tracking

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// probeInterval is the time between two probes, and between two attempts to track a key
	// that Redis refused.
	probeInterval = 2 * time.Second
	// probePatience bounds the time in which a probe must return.
	probePatience = 3 * probeInterval
	// syncProbes is how many probes must return before earlier changes have been reported:
	// Redis sends the changes of one moment in the order of their prefixes.
	syncProbes = 2
)

// errNoProbe is returned when the invalidations of a probe did not arrive in time.
var errNoProbe = errors.New("no invalidation arrived for a key that was written")

// probe is the state of the path: a key of the literal tracker and one of the glob tracker
// are written together, and both must return.
type probe struct {
	sent          time.Time // zero if no probe is in flight
	last          time.Time // when the last one was sent
	literal, glob bool      // returned
}

// waiter is a call of Sync.
type waiter struct {
	probes int // that must still return
	done   chan error
}

// sync returns a channel that receives the result of a [Tracker.Sync] on this master. A
// probe in flight may have been sent before the call.
func (s *session) sync() chan error {
	w := waiter{probes: syncProbes, done: make(chan error, 1)}
	switch {
	case s.err != nil:
		w.done <- s.err
		return w.done
	case !s.probe.sent.IsZero():
		w.probes++
	}
	s.waiting = append(s.waiting, w)
	s.signal()
	return w.done
}

// names returns the keys of the probe. The key of the literal tracker sorts first, so a glob of
// all keys reports it before the other.
func (s *session) names() (literal, glob string) {
	prefix := s.tracker.options.ProbePrefix
	if s.tag != "" {
		prefix += "{" + s.tag + "}"
	}
	return prefix + ":a", prefix + ":b"
}

// sendProbe writes both keys of the probe if one is due, and reports a probe that did not
// return.
func (s *session) sendProbe(ctx context.Context, c *connection) error {
	t := s.tracker
	now := time.Now()
	t.mu.Lock()
	before := s.probe
	inFlight := !before.sent.IsZero()
	due := !inFlight && (len(s.waiting) > 0 || now.Sub(before.last) >= probeInterval*3/4)
	if due {
		s.probe = probe{sent: now, last: now}
	}
	literal, glob := s.names()
	t.mu.Unlock()
	switch {
	case inFlight && now.Sub(before.sent) > probePatience:
		return errNoProbe
	case !due:
		return nil
	}
	_, err := c.literal.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Type(ctx, literal)
		p.Set(ctx, literal, "", 10*probePatience)
		p.Set(ctx, glob, "", 10*probePatience)
		return nil
	})
	if !isRouting(err) {
		return err
	}
	t.options.Refresh() // the next topology has a tag that this master owns
	t.mu.Lock()
	s.probe.sent = time.Time{}
	t.mu.Unlock()
	return nil
}

// probed notes the keys of the probe among changed keys.
func (s *session) probed(keys []string) {
	t := s.tracker
	t.mu.Lock()
	defer t.mu.Unlock()
	literal, glob := s.names()
	p := &s.probe
	for _, name := range keys {
		p.literal = p.literal || name == literal
		p.glob = p.glob || name == glob
	}
	if p.sent.IsZero() || !p.literal || !p.glob {
		return
	}
	p.sent = time.Time{}
	s.reachable()
	kept := s.waiting[:0]
	for _, w := range s.waiting {
		if w.probes--; w.probes > 0 {
			kept = append(kept, w)
		} else {
			w.done <- nil
		}
	}
	s.waiting = kept
	s.signal()
}
