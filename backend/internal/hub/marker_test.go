package hub

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"sluice/internal/source/marker"
)

func markerNode(n int) string {
	return fmt.Sprintf("%08d", n)
}

func knowsAll(string) bool { return true }

func checkMarker(t *testing.T, x *markerIndex, m marker.Marker, wantPos uint64, wantOK, wantNewer bool) {
	t.Helper()
	if pos, ok, newer := x.find(m); pos != wantPos || ok != wantOK || newer != wantNewer {
		t.Errorf("find(%v) returns %d, %v, %v, want %d, %v, %v", m, pos, ok, newer, wantPos, wantOK, wantNewer)
	}
}

func TestMarkerIndex_FindsIntervalOfMarker(t *testing.T) {
	t.Parallel()
	var x markerIndex
	a := func(sequence uint64) marker.Marker { return marker.Marker{Node: markerNode(1), Sequence: sequence} }
	checkMarker(t, &x, a(1), 0, false, true)
	x.add(a(5), 3, 10)
	x.add(a(9), 3, 12)   // the first position of the view is older than the last call
	x.add(a(20), 15, 30) // a later view, in which 10 to 15 were not received
	for sequence := range uint64(21) {
		switch {
		case 4 <= sequence && sequence <= 5:
			checkMarker(t, &x, a(sequence), 10, true, false)
		case 6 <= sequence && sequence <= 9:
			checkMarker(t, &x, a(sequence), 12, true, false)
		case 16 <= sequence:
			checkMarker(t, &x, a(sequence), 30, true, false)
		default:
			checkMarker(t, &x, a(sequence), 0, false, false)
		}
	}
	checkMarker(t, &x, a(21), 0, false, true)
	checkMarker(t, &x, marker.Marker{Node: markerNode(2), Sequence: 5}, 0, false, true)
}

// For any order of markers and events, the index finds the newest marker before each position in
// the journal, and is at most twice as large as needed.
func TestMarkerIndex_IsBoundedByJournal(t *testing.T) {
	t.Parallel()
	for range 30 {
		const events = 3000
		var x markerIndex
		journal := uint64(rand.IntN(200) + 1)
		rate := rand.Float64() // markers per event
		nodes := rand.IntN(8) + 1
		sequences := make([]uint64, nodes)
		type newest struct {
			marker.Marker
			pos uint64
		}
		before := make([]newest, events+1) // position -> newest marker before the preceding event
		var now newest
		most := 0
		for number := uint64(1); number < events; number++ {
			for n := range nodes {
				if rand.Float64() < rate {
					floor := sequences[n]
					sequences[n] += rand.Uint64N(3) + 1
					now = newest{marker.Marker{Node: markerNode(n), Sequence: sequences[n]}, number}
					x.add(now.Marker, floor, number)
				}
			}
			tail := max(number, journal) - journal + 1
			if x.wantsEviction() {
				x.evict(tail, knowsAll)
			}
			before[number+1] = now
			most = max(most, x.size)
			if number%100 == 0 || number == events-1 {
				for pos := max(tail, 2); pos <= number+1; pos++ {
					if m := before[pos]; m.pos > 0 {
						checkMarker(t, &x, m.Marker, m.pos, true, false)
					}
				}
			}
			if t.Failed() {
				t.Fatalf("event %d, journal of %d", number, journal)
			}
		}
		if limit := 2*(nodes*(int(journal)+2)+nodes) + minEviction; most > limit+nodes {
			t.Errorf("with %d nodes and a journal of %d the index grew to %d", nodes, journal, most)
		}
	}
}

// An event can stay in the journal after the node of its marker has ended.
func TestMarkerIndex_KeepsMarkersOfEndedNodes(t *testing.T) {
	t.Parallel()
	var x markerIndex
	old := marker.Marker{Node: markerNode(0), Sequence: 7}
	x.add(old, 6, 10)
	knows := func(node string) bool { return node != old.Node }
	x.evict(11, knows)
	checkMarker(t, &x, old, 10, true, false)
	x.add(marker.Marker{Node: markerNode(1), Sequence: 1}, 0, 12)
	x.evict(12, knows) // a cursor of position 12 has the old marker
	checkMarker(t, &x, old, 10, true, false)
	x.evict(13, knows)
	checkMarker(t, &x, old, 0, false, true)
	if len(x.nodes) != 1 || x.size != 2 {
		t.Errorf("got an index of %d nodes and size %d", len(x.nodes), x.size)
	}
}

// A gap is between a marker and a position after the gap.
func TestMarkerIndex_HasGap(t *testing.T) {
	t.Parallel()
	var x markerIndex
	x.addGap(5) // without a marker before it
	a := func(sequence uint64) marker.Marker { return marker.Marker{Node: markerNode(0), Sequence: sequence} }
	x.add(a(1), 0, 10)
	x.addGap(10)
	x.addGap(12) // no marker is between this gap and the one before
	x.add(a(2), 1, 20)
	x.add(a(3), 2, 30)
	x.addGap(32)
	check := func(markerPos, pos uint64, want bool) {
		t.Helper()
		if x.hasGap(markerPos, pos) != want {
			t.Errorf("hasGap(%d, %d) returns %v", markerPos, pos, !want)
		}
	}
	for range 2 {
		check(10, 10, false)
		check(10, 11, true)
		check(10, 40, true)
		check(20, 32, false)
		check(20, 33, true)
		check(30, 33, true)
		x.evict(11, knowsAll)
	}
	if len(x.gaps) != 2 {
		t.Errorf("got gaps %d, want two", x.gaps)
	}
	x.evict(33, knowsAll)
	check(30, 32, false)
	check(30, 33, true)
	if len(x.gaps) != 1 {
		t.Errorf("got gaps %d, want the newest", x.gaps)
	}
}

// Evicted markers of a node must not be found at the positions of later ones.
func TestMarkerIndex_KeepsLastMarkerOfNode(t *testing.T) {
	t.Parallel()
	var x markerIndex
	x.add(marker.Marker{Node: markerNode(0), Sequence: 7}, 2, 10)
	x.add(marker.Marker{Node: markerNode(1), Sequence: 1}, 0, 12)
	x.evict(20, knowsAll)
	x.add(marker.Marker{Node: markerNode(0), Sequence: 9}, 2, 30)
	checkMarker(t, &x, marker.Marker{Node: markerNode(0), Sequence: 7}, 0, false, false)
	checkMarker(t, &x, marker.Marker{Node: markerNode(0), Sequence: 8}, 30, true, false)
}
