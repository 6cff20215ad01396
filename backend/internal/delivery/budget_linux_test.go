//go:build !race

package delivery_test

import "testing"

// An event is written to each connection from the journal's own bytes. What a sweep
// allocates does not grow with the number of connections.
func TestBudget_WritingAnEventAllocatesNothingForAConnection(t *testing.T) {
	const few, many, most = 1, 201, 0.02 // allocations a connection
	perEvent := func(connections int) float64 {
		l := newLoopback(t, connections)
		for range 300 { // until segments and what is kept for each connection have their size
			l.deliver(t, 1)
		}
		return testing.AllocsPerRun(100, func() { l.deliver(t, 1) })
	}
	alone, together := perEvent(few), perEvent(many)
	if each := (together - alone) / (many - few); each > most {
		t.Errorf("%v allocations for one connection, %v for %d: %.2f for each", alone, together, many, each)
	}
}
