package journal

import (
	"container/list"
	"context"
	"time"
)

// Lease is the memory of one page of a replay. Its methods are for one goroutine at a time. A nil
// Lease holds nothing.
type Lease struct {
	memory *Memory
	bytes  int64
	revoke func()

	// Guarded by memory.mu.
	since   time.Time
	element *list.Element // in memory.leases; nil after the lease was revoked
}

// Acquire reserves bytes for a page of a replay. It waits while other replays hold the share of
// memory for replays. A page that exceeds this share is read while no other replay holds memory.
//
// While Acquire waits, it calls the revoke of the oldest lease if this lease is older than the
// patience. The holder must then release it soon, so a slow client does not block the others. revoke
// must not block. Acquire returns an error only if the context ends.
func (m *Memory) Acquire(ctx context.Context, bytes int64, revoke func()) (*Lease, error) {
	if m == nil {
		return nil, nil
	}
	for {
		m.mu.Lock()
		if held := m.replays.Load(); held == 0 || held+bytes <= m.limit/4 {
			l := &Lease{memory: m, bytes: bytes, revoke: revoke, since: time.Now()}
			l.element = m.leases.PushBack(l)
			m.replays.Add(bytes)
			m.mu.Unlock()
			m.reclaim()
			return l, nil
		}
		changed, expiry := m.changed, m.revokeOldest()
		m.mu.Unlock()
		select {
		case <-changed:
		case <-expiry:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// revokeOldest revokes the oldest lease if it is older than the patience, else it returns a
// channel that receives when it will be. mu must be held.
func (m *Memory) revokeOldest() <-chan time.Time {
	e := m.leases.Front()
	if e == nil { // all leases were revoked and will be released
		return nil
	}
	l := e.Value.(*Lease)
	if rest := m.patience - time.Since(l.since); rest > 0 {
		return time.After(rest)
	}
	m.leases.Remove(e)
	l.element = nil
	l.revoke()
	return nil
}

// Resize sets the number of bytes after the page has been read. The patience counts from this call.
func (l *Lease) Resize(bytes int64) {
	if l == nil {
		return
	}
	m := l.memory
	m.mu.Lock()
	if l.since = time.Now(); l.element != nil {
		m.leases.MoveToBack(l.element)
	}
	l.resize(bytes)
	m.mu.Unlock()
	m.reclaim()
}

// Release ends the lease. Further calls have no effect.
func (l *Lease) Release() {
	if l == nil {
		return
	}
	m := l.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.element != nil {
		m.leases.Remove(l.element)
		l.element = nil
	}
	l.resize(0)
}

// resize sets the accounted bytes. If they shrink, it wakes waiting calls of Acquire. memory.mu must be
// held.
func (l *Lease) resize(bytes int64) {
	m := l.memory
	m.replays.Add(bytes - l.bytes)
	if bytes < l.bytes {
		close(m.changed)
		m.changed = make(chan struct{})
	}
	l.bytes = bytes
}
