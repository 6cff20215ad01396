package source

import (
	"sync"
	"sync/atomic"
)

// rememberedMarks bounds the marks that a source can find again: hours of them, since
// each node makes one every few seconds.
const rememberedMarks = 1 << 15

// marks remembers the newest marks that came from one server.
type marks struct {
	ordinals *atomic.Uint64 // counts the marks of all servers, so that ordinals grow for a topic that moves

	mu      sync.RWMutex
	last    *Mark
	byToken map[string]*Mark
	ring    []*Mark
	oldest  int // in ring, once that is full
}

func newMarks(ordinals *atomic.Uint64) *marks {
	return &marks{ordinals: ordinals, byToken: make(map[string]*Mark)}
}

// add takes the next mark.
func (m *marks) add(token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byToken[token] != nil {
		return // not a gateway's: those make each only once
	}
	next := &Mark{Ordinal: m.ordinals.Add(1), Token: token}
	if len(m.ring) < rememberedMarks {
		m.ring = append(m.ring, next)
	} else {
		delete(m.byToken, m.ring[m.oldest].Token)
		m.ring[m.oldest] = next
		m.oldest = (m.oldest + 1) % rememberedMarks
	}
	m.byToken[token] = next
	m.last = next
}

// newest returns the newest mark, nil if there is none.
func (m *marks) newest() *Mark {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.last
}

// find returns the mark with that token, nil if it is not remembered.
func (m *marks) find(token string) *Mark {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byToken[token]
}

// ordinal returns that of a mark, 0 if it is nil.
func ordinal(m *Mark) uint64 {
	if m == nil {
		return 0
	}
	return m.Ordinal
}
