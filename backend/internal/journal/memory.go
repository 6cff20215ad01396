package journal

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Memory bounds what is held for all topics of a process: journals, values and replays. Values
// take at most half of the limit and replays a quarter, so journals always have the rest. If
// they need more, the largest journals lose their oldest events first. Its methods may be
// called from any goroutine. A nil Memory has no bound.
type Memory struct {
	limit    int64
	values   atomic.Int64 // bytes
	journals atomic.Int64 // bytes
	replays  atomic.Int64 // bytes; written under mu

	reclaiming sync.Mutex // held while journals are shortened; lock order: before Journal.mu

	patience time.Duration // see [Memory.Acquire]

	mu      sync.Mutex
	all     map[*Journal]struct{}
	changed chan struct{} // closed when memory is released that replays wait for
	leases  list.List     // of *Lease; the oldest first, without those that were revoked
}

// NewMemory returns a Memory with a limit in bytes. A replay that holds memory for longer than
// patience loses it if others wait.
func NewMemory(limit int, patience time.Duration) *Memory {
	return &Memory{
		limit: int64(limit), patience: patience,
		all: make(map[*Journal]struct{}), changed: make(chan struct{}),
	}
}

// Held returns the number of bytes that are held.
func (m *Memory) Held() int {
	if m == nil {
		return 0
	}
	return int(m.values.Load() + m.journals.Load() + m.replays.Load())
}

// Full reports whether values take all memory that they may.
func (m *Memory) Full() bool {
	return m != nil && m.values.Load() >= m.limit/2
}

// Add adds to the bytes of values, or subtracts. The next append to any journal enforces the limit.
func (m *Memory) Add(bytes int64) {
	if m != nil {
		m.values.Add(bytes)
	}
}

func (m *Memory) register(j *Journal) {
	if m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.all[j] = struct{}{}
	}
}

func (m *Memory) unregister(j *Journal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, j)
}

// account records that a journal holds more bytes, or fewer. It may be called with the
// journal's mu held.
func (m *Memory) account(bytes int) {
	if m != nil {
		m.journals.Add(int64(bytes))
	}
}

// reclaim shortens the largest journals if the limit is exceeded. The caller must
// hold no lock and no view.
func (m *Memory) reclaim() {
	if m == nil || int64(m.Held()) <= m.limit || !m.reclaiming.TryLock() {
		return
	}
	defer m.reclaiming.Unlock()
	m.mu.Lock()
	all := make([]*Journal, 0, len(m.all))
	for j := range m.all {
		all = append(all, j)
	}
	m.mu.Unlock()
	sizes := make([]int, len(all))
	for i, j := range all {
		sizes[i] = j.footprint()
	}
	// Some more than necessary, so this is not done for each event.
	target := m.limit - m.limit/16 - m.values.Load() - m.replays.Load()
	share := fairShare(sizes, max(int(target), 0))
	for i, j := range all {
		if sizes[i] > share {
			j.shorten(share)
		}
	}
}

// fairShare returns the size to which the larger of some sizes have to be reduced for their
// sum to be at most total.
func fairShare(sizes []int, total int) int {
	sorted := slices.Sorted(slices.Values(sizes))
	for i, size := range sorted {
		if rest := len(sorted) - i; size*rest > total {
			return total / rest
		}
		total -= size
	}
	return total
}
