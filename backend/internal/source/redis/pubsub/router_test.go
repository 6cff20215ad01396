package pubsub

import (
	"sync"
	"testing"

	"sluice/internal/source/marker"
)

// counter counts messages.
type counter struct {
	view  *marker.View
	count int
}

func (c *counter) Confirmed(_ bool, view *marker.View) { c.view = view }
func (c *counter) Message(string, string)              { c.count++ }

// A marker after an ignored message is outside the view. Otherwise other nodes would resume after
// the message.
func TestRouter_AbandonedRouteEndsView(t *testing.T) {
	t.Parallel()
	for range 500 {
		c, s := newTestSession()
		r := New(Options{})
		r.servers[server{}] = c
		r.topology = Topology{servers: []server{{}}, slots: []slotRange{{last: slots - 1}}}
		name := Subscription{Literal, "a"}
		var receiver counter
		rt := r.Follow(0, &receiver, name)
		c.confirmed(s, name)
		node := rt.node
		started := make(chan struct{})
		var reading sync.WaitGroup
		reading.Go(func() {
			for before := -1; receiver.count > before; {
				before = receiver.count
				node.message("a", "x")
				if before == 0 {
					close(started)
				}
			}
			c.markers.log.Add(marker.Marker{Node: "abcdefgh", Sequence: 1})
			if m, _, ok := receiver.view.Newest(); ok {
				t.Errorf("got %v in the view after an ignored message", m)
			}
		})
		<-started
		r.mu.Lock()
		r.servers, r.topology = nil, Topology{}
		r.assign(rt, nil)
		r.mu.Unlock()
		reading.Wait()
		if t.Failed() {
			return
		}
	}
}
