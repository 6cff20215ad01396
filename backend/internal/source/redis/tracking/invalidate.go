package tracking

import (
	"context"
	"time"
)

// receiveAll reads invalidations until the connection breaks.
func (s *session) receiveAll(ctx context.Context, c *connection) error {
	for {
		keys, all, err := c.receive(ctx)
		switch {
		case err != nil:
			return err
		case all:
			s.flushed()
		default:
			s.invalidated(keys)
		}
	}
}

// invalidated reports changes to globs at once, and tracks literal keys again before it
// reports them.
func (s *session) invalidated(keys []string) {
	t := s.tracker
	t.mu.Lock()
	for _, name := range keys {
		if k := s.keys[name]; k != nil {
			s.enqueue(k)
			s.signal()
		}
	}
	watches := make([]*Watch, 0, len(s.globs))
	for w := range s.globs {
		if n := w.nodes[s]; n != nil && n.live {
			watches = append(watches, w)
		}
	}
	t.mu.Unlock()
	for _, name := range keys {
		for _, w := range watches {
			w.watcher.Invalidated(name)
		}
	}
	s.probed(keys)
}

// flushed handles the deletion of all keys, with which Redis forgets the keys it tracks.
func (s *session) flushed() {
	t := s.tracker
	t.mu.Lock()
	for _, k := range s.keys {
		s.enqueue(k)
	}
	var watchers []Watcher
	for w := range s.globs {
		watchers = append(watchers, w.watcher)
	}
	p := &s.probe
	if !p.sent.IsZero() { // its key is no longer tracked
		p.sent, p.last = time.Time{}, time.Time{}
		p.literal, p.glob = false, false
	}
	s.signal()
	t.mu.Unlock()
	for _, w := range watchers {
		w.All()
	}
}
