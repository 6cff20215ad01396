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

func TestMarkerIndex_FindsTheIntervalOfAMarker(t *testing.T) {
	t.Parallel()
	var x markerIndex
	a := func(sequence uint64) marker.Marker { return marker.Marker{Node: markerNode(1), Sequence: sequence} }
	checkMarker(t, &x, a(1), 0, false, true)
	x.add(a(5), 3, 10)
	x.add(a(9), 3, 12)   // the floor of the view is older than the last call
	x.add(a(20), 15, 30) // a later view: 10 to 15 were not received in it
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

// For any order of markers and events, the index finds the newest marker before each position
// in the journal, and holds at most twice as much as it needs.
func TestMarkerIndex_HoldsExactlyAsMuchAsTheJournal(t *testing.T) {
	t.Parallel()
	for range 30 {
		const events = 3000
		var x markerIndex
		journal := uint64(rand.IntN(200) + 1)
		rate := rand.Float64() // of markers per event
		nodes := rand.IntN(8) + 1
		sequences := make([]uint64, nodes)
		type newest struct {
			marker.Marker
			pos uint64
		}
		before := make([]newest, events+1) // position -> the newest marker before the event that precedes it
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
				t.Fatalf("at event %d with a journal of %d", number, journal)
			}
		}
		if limit := 2*(nodes*(int(journal)+2)+nodes) + minEviction; most > limit+nodes {
			t.Errorf("with %d nodes and a journal of %d the index grew to %d", nodes, journal, most)
		}
	}
}

// An event can stay in the journal for longer than its marker's node.
func TestMarkerIndex_KeepsMarkersOfNodesThatEnded(t *testing.T) {
	t.Parallel()
	var x markerIndex
	old := marker.Marker{Node: markerNode(0), Sequence: 7}
	x.add(old, 6, 10)
	knows := func(node string) bool { return node != old.Node }
	x.evict(11, knows)
	checkMarker(t, &x, old, 10, true, false)
	x.add(marker.Marker{Node: markerNode(1), Sequence: 1}, 0, 12)
	x.evict(12, knows) // a cursor of the position 12 has the old marker
	checkMarker(t, &x, old, 10, true, false)
	x.evict(13, knows)
	checkMarker(t, &x, old, 0, false, true)
	if len(x.nodes) != 1 || x.size != 2 {
		t.Errorf("the index holds %d nodes, and its size is %d", len(x.nodes), x.size)
	}
}

// The markers of a node that were evicted must not be found at the position of later ones.
func TestMarkerIndex_RemembersTheLastMarkerOfAKnownNode(t *testing.T) {
	t.Parallel()
	var x markerIndex
	x.add(marker.Marker{Node: markerNode(0), Sequence: 7}, 2, 10)
	x.add(marker.Marker{Node: markerNode(1), Sequence: 1}, 0, 12)
	x.evict(20, knowsAll)
	x.add(marker.Marker{Node: markerNode(0), Sequence: 9}, 2, 30)
	checkMarker(t, &x, marker.Marker{Node: markerNode(0), Sequence: 7}, 0, false, false)
	checkMarker(t, &x, marker.Marker{Node: markerNode(0), Sequence: 8}, 30, true, false)
}
