package delivery

import "time"

// progress tells for how long the other end of a connection has acknowledged nothing of
// what the system holds for it. The system itself would give up a client whose line is
// cut after a quarter of an hour only; and told to do so earlier (TCP_USER_TIMEOUT), it
// ends connections of clients that read, but slowly, too.
type progress struct {
	sent  uint32  // bytes that were handed to the system, to compare only
	taken uint32  // of them, when somebody looked last
	since instant // when that was first seen; zero if there was nothing to take
}

// stalled reports whether nothing was taken for the timeout, of which the system holds so
// many bytes now. It has to be asked from time to time, since it sees what changes only
// then.
func (p *progress) stalled(held int, now time.Time, timeout time.Duration) bool {
	taken := p.sent - uint32(held)
	switch {
	case held == 0:
		p.since = 0
	case p.since == 0 || taken != p.taken:
		p.taken, p.since = taken, instantOf(now)
	default:
		return instantOf(now).since(p.since) >= timeout
	}
	return false
}
