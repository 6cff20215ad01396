//go:build !race

package delivery_test

import "testing"

// Each connection writes an event from the bytes of the journal. The allocations of a broadcast do
// not grow with the number of connections.
func TestBudget_WriteAllocatesNothingPerConnection(t *testing.T) {
	const few, many, most = 1, 201, 0.02 // allocations per connection
	perEvent := func(connections int) float64 {
		l := newLoopback(t, connections)
		for range 300 { // until segments and buffers of connections have reached their sizes
			l.deliver(t, 1)
		}
		return testing.AllocsPerRun(100, func() { l.deliver(t, 1) })
	}
	alone, together := perEvent(few), perEvent(many)
	if each := (together - alone) / (many - few); each > most {
		t.Errorf("got %v allocations for one connection, %v for %d: %.2f per connection", alone, together, many, each)
	}
}
