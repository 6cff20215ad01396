package journal

import (
	"container/list"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Memory bounds the memory for all topics of a process: journals, values and replays. Values use at
// most half of the limit and replays a quarter; the rest is always available to journals. If the
// limit is exceeded, the largest journals evict their oldest events. Its methods may be called from
// any goroutine. A nil Memory has no limit.
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
	leases  list.List     // of *Lease that were not revoked, the oldest first
}

// NewMemory returns a Memory with a limit in bytes. A replay that holds memory for longer than
// patience loses it if others wait.
func NewMemory(limit int, patience time.Duration) *Memory {
	return &Memory{
		limit: int64(limit), patience: patience,
		all: make(map[*Journal]struct{}), changed: make(chan struct{}),
	}
}

// Held returns the number of bytes in use.
func (m *Memory) Held() int {
	if m == nil {
		return 0
	}
	return int(m.values.Load() + m.journals.Load() + m.replays.Load())
}

// Full reports whether values use their whole share of the memory.
func (m *Memory) Full() bool {
	return m != nil && m.values.Load() >= m.limit/2
}

// Add changes the bytes of values, by a negative number too. The next append to any journal enforces
// the limit.
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

// account changes the bytes of journals, by a negative number too. The caller may hold the mu of a
// journal.
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
	all := slices.Collect(maps.Keys(m.all))
	m.mu.Unlock()
	sizes := make([]int, len(all))
	for i, j := range all {
		sizes[i] = j.footprint()
	}
	// Free more than necessary, so not every append has to reclaim memory.
	target := m.limit - m.limit/16 - m.values.Load() - m.replays.Load()
	share := fairShare(sizes, max(int(target), 0))
	for i, j := range all {
		if sizes[i] > share {
			j.shorten(share)
		}
	}
}

// fairShare returns the limit for each of some sizes at which their sum is at most total. Sizes
// below the limit are not reduced.
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
