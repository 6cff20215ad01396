package source

import "sync"

// rememberedMarks bounds the marks that a source can find again: hours of them, since
// each node makes one every few seconds.
const rememberedMarks = 1 << 15

// marks remembers the newest marks that a source saw.
type marks struct {
	mu      sync.RWMutex
	newest  *Mark
	byToken map[string]*Mark
	ring    []*Mark // by ordinal modulo its length
}

// add takes the next mark.
func (m *marks) add(token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byToken == nil {
		m.byToken = make(map[string]*Mark)
		m.ring = make([]*Mark, 0, 64)
	}
	if m.byToken[token] != nil {
		return // not a gateway's: those make each only once
	}
	next := &Mark{Ordinal: 1, Token: token}
	if m.newest != nil {
		next.Ordinal = m.newest.Ordinal + 1
	}
	if len(m.ring) < rememberedMarks {
		m.ring = append(m.ring, next)
	} else {
		slot := (next.Ordinal - 1) % rememberedMarks
		delete(m.byToken, m.ring[slot].Token)
		m.ring[slot] = next
	}
	m.byToken[token] = next
	m.newest = next
}

// Mark implements [Source].
func (m *marks) Mark() *Mark {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.newest
}

// FindMark implements [Source].
func (m *marks) FindMark(token string) *Mark {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byToken[token]
}
