package marker

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestParse_AcceptsOnlyStringOutput(t *testing.T) {
	t.Parallel()
	for _, m := range []Marker{{"abcdefgh", 1}, {"0123wxyz", 35}, {"zzzzzzzz", 36}, {"aaaaaaaa", math.MaxUint64}} {
		if got, ok := Parse(m.String()); !ok || got != m {
			t.Errorf("Parse(%q) returns %v, %v", m.String(), got, ok)
		}
	}
	for _, text := range []string{
		"", ".", "abcdefgh", "abcdefgh.", ".1", "abcdefgh.0", "abcdefgh.01", "abcdefgh.+1", "abcdefgh.-1",
		"abcdefgh.A", "abcdefgh.1 ", "abcdefgh.1\n", "abcdefgh.1_0", "abcdefgh.1.1", "abcdefg.1", "abcdefghi.1",
		"Abcdefgh.1", "abcdefg_.1", "abcdefä.1", "abcdefgh.3w5e11264sgsg", "abcdefgh.3w5e11264sgsf0", "abc.defg.1",
	} {
		if m, ok := Parse(text); ok {
			t.Errorf("Parse(%q): got %v, want an error", text, m)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"abcdefgh.1", "abcdefgh.0", "abcdefgh.01", "abcdefgh.+1", "abcdefgh.A", "abcdefgh.1.1", "ABCDEFGH.1", ".1", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, ok := Parse(text)
		switch {
		case !ok:
			return
		case m.String() != text:
			t.Errorf("Parse(%q): got %v", text, m)
		case m.Sequence == 0 || len(m.Node) != nodeLength || strings.ToLower(m.Node) != m.Node:
			t.Errorf("Parse(%q): got invalid marker %v", text, m)
		}
	})
}

// node returns the id of a gateway.
func node(n int) string {
	return fmt.Sprintf("%08d", n)
}

// since returns the markers after an ordinal as "node.floor-sequence", and the newest ordinal.
func since(v *View, ordinal uint64) (map[string]string, uint64) {
	got := make(map[string]string)
	newest := v.Since(ordinal, func(m Marker, floor uint64) {
		got[m.Node] = fmt.Sprintf("%d-%d", floor, m.Sequence)
	})
	return got, newest
}

func checkSince(t *testing.T, v *View, ordinal uint64, want map[string]string, newest uint64) {
	t.Helper()
	if got, n := since(v, ordinal); !maps.Equal(got, want) || n != newest {
		t.Errorf("Since(%d) yields %v and returns %d, want %v and %d", ordinal, got, n, want, newest)
	}
}

func checkFind(t *testing.T, v *View, m Marker, want bool) {
	t.Helper()
	if _, ok := v.Find(m); ok != want {
		t.Errorf("Find(%v) returns %v, want %v", m, ok, want)
	}
}

func checkNewest(t *testing.T, v *View, want Marker, wantOK bool) {
	t.Helper()
	if m, _, ok := v.Newest(); ok != wantOK || ok && m != want {
		t.Errorf("Newest returns %v, %v, want %v, %v", m, ok, want, wantOK)
	}
}

func TestView_EmptyLog(t *testing.T) {
	t.Parallel()
	v := NewLog().View()
	checkNewest(t, v, Marker{}, false)
	checkSince(t, v, 0, nil, 0)
	checkFind(t, v, Marker{node(1), 1}, false)
	v.End()
	checkSince(t, v, 0, nil, 0)
	checkFind(t, v, Marker{node(1), 1}, false)
}

// A connection may begin in the middle of a node's sequence.
func TestView_FirstMarkerHasFloorBelowIt(t *testing.T) {
	t.Parallel()
	l := NewLog()
	v := l.View()
	l.Add(Marker{node(1), 7})
	checkNewest(t, v, Marker{node(1), 7}, true)
	checkSince(t, v, 0, map[string]string{node(1): "6-7"}, 1)
	l.Add(Marker{node(1), 8})
	l.Add(Marker{node(1), 9})
	checkSince(t, v, 0, map[string]string{node(1): "6-9"}, 3)
	checkFind(t, v, Marker{node(1), 6}, false)
	checkFind(t, v, Marker{node(1), 7}, true)
	checkFind(t, v, Marker{node(1), 9}, true)
	checkFind(t, v, Marker{node(1), 10}, false)
}

func TestView_ExcludesMarkersBeforeItsStart(t *testing.T) {
	t.Parallel()
	l := NewLog()
	l.Add(Marker{node(1), 3})
	l.Add(Marker{node(1), 4})
	l.Add(Marker{node(2), 1})
	v := l.View()
	checkNewest(t, v, Marker{}, false)
	checkSince(t, v, 0, nil, 3)
	checkFind(t, v, Marker{node(1), 4}, false)
	l.Add(Marker{node(1), 6})
	checkNewest(t, v, Marker{node(1), 6}, true)
	checkSince(t, v, 0, map[string]string{node(1): "4-6"}, 4)
	checkFind(t, v, Marker{node(1), 4}, false)
	checkFind(t, v, Marker{node(1), 5}, true)
	checkFind(t, v, Marker{node(2), 1}, false)
}

func TestView_SinceYieldsEachNodeOnce(t *testing.T) {
	t.Parallel()
	l := NewLog()
	v := l.View()
	for n := range 10 {
		l.Add(Marker{node(n), 1})
	}
	_, seen := since(v, 0)
	checkSince(t, v, seen, nil, 10)
	for sequence := range uint64(3) {
		l.Add(Marker{node(4), sequence + 2})
		l.Add(Marker{node(7), sequence + 2})
	}
	checkSince(t, v, seen, map[string]string{node(4): "0-4", node(7): "0-4"}, 16)
}

func TestView_ExcludesMarkersAfterItsEnd(t *testing.T) {
	t.Parallel()
	l := NewLog()
	v := l.View()
	l.Add(Marker{node(1), 1})
	v.End()
	l.Add(Marker{node(1), 2})
	l.Add(Marker{node(2), 1})
	v.End() // only the first end has an effect
	checkNewest(t, v, Marker{}, false)
	checkSince(t, v, 0, map[string]string{node(1): "0-1"}, 1)
	checkSince(t, v, 1, nil, 1)
	checkFind(t, v, Marker{node(1), 1}, true)
	checkFind(t, v, Marker{node(1), 2}, false)
	checkFind(t, v, Marker{node(2), 1}, false)

	later := l.View()
	l.Add(Marker{node(1), 3})
	checkSince(t, later, 0, map[string]string{node(1): "2-3"}, 4)
	checkFind(t, later, Marker{node(1), 2}, false)
}

func TestLog_IgnoresOlderMarkers(t *testing.T) {
	t.Parallel()
	l := NewLog()
	v := l.View()
	l.Add(Marker{node(1), 5})
	l.Add(Marker{node(2), 1})
	l.Add(Marker{node(1), 5})
	l.Add(Marker{node(1), 4})
	checkNewest(t, v, Marker{node(2), 1}, true)
	checkSince(t, v, 0, map[string]string{node(1): "4-5", node(2): "0-1"}, 2)
}

func TestLog_BoundsNodes(t *testing.T) {
	t.Parallel()
	l := NewLog()
	l.Add(Marker{node(0), 5})
	v := l.View()
	for n := 1; n <= maxNodes; n++ {
		l.Add(Marker{node(n), 1})
	}
	if got, _ := since(v, 0); len(got) != maxNodes {
		t.Errorf("got %d nodes in the log", len(got))
	}
	if v.Knows(node(0)) || !v.Knows(node(1)) || !v.Knows(node(maxNodes)) {
		t.Error("got another node evicted, want the one with the oldest marker")
	}
	// A node that returns is treated as new, so its earlier sequences are not claimed.
	l.Add(Marker{node(0), 9})
	got, _ := since(v, maxNodes+1)
	if want := map[string]string{node(0): "8-9"}; !maps.Equal(got, want) {
		t.Errorf("node that returned: got %v, want %v", got, want)
	}
	checkFind(t, v, Marker{node(0), 8}, false)
}

func TestLog_EvictsIdleNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLog()
		v := l.View()
		l.Add(Marker{node(1), 1})
		time.Sleep(maxAge)
		l.Add(Marker{node(2), 1})
		if !v.Knows(node(1)) {
			t.Error("a node was evicted before maxAge")
		}
		time.Sleep(time.Nanosecond)
		l.Add(Marker{node(2), 2})
		if v.Knows(node(1)) || !v.Knows(node(2)) {
			t.Error("a node without a marker for maxAge was not evicted")
		}
	})
}

// A reader that polls Since gets each marker in exactly one interval, even while views begin and
// end.
func TestView_ConcurrentUse(t *testing.T) {
	t.Parallel()
	const nodes, markers = 4, 2000
	l := NewLog()
	v := l.View()
	done := make(chan struct{})
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			reached := make(map[string]uint64)
			var ordinal uint64
			for last := false; ; {
				ordinal = v.Since(ordinal, func(m Marker, floor uint64) {
					if floor > reached[m.Node] || m.Sequence <= reached[m.Node] {
						t.Errorf("after %d: got interval (%d, %d]", reached[m.Node], floor, m.Sequence)
					}
					reached[m.Node] = m.Sequence
				})
				if m, _, ok := v.Newest(); ok && m.Sequence > markers {
					t.Errorf("got newest marker %v", m)
				}
				if last {
					break
				}
				select {
				case <-done:
					last = true
				default:
				}
			}
			for n := range nodes {
				if reached[node(n)] != markers {
					t.Errorf("node %d: got %d markers", n, reached[node(n)])
				}
			}
		})
	}
	running.Go(func() {
		for {
			short := l.View()
			short.End()
			if m, _, ok := short.Newest(); ok {
				t.Errorf("ended view: got newest marker %v", m)
			}
			first, _ := since(short, 0)
			if second, _ := since(short, 0); !maps.Equal(first, second) {
				t.Errorf("ended view: got %v, then %v", first, second)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for sequence := range uint64(markers) {
		for n := range nodes {
			l.Add(Marker{node(n), sequence + 1})
		}
	}
	close(done)
	running.Wait()
}

// A reader never gets a marker that the ended view does not contain.
func TestView_EndIsEqualForAllReaders(t *testing.T) {
	t.Parallel()
	for range 200 {
		l := NewLog()
		v := l.View()
		var seen uint64
		var running sync.WaitGroup
		start, stop := make(chan struct{}), make(chan struct{})
		running.Go(func() {
			<-start
			for sequence := uint64(1); ; sequence++ {
				l.Add(Marker{node(1), sequence})
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		running.Go(func() {
			<-start
			for {
				if m, _, ok := v.Newest(); ok {
					seen = max(seen, m.Sequence)
				}
				v.Since(0, func(m Marker, _ uint64) { seen = max(seen, m.Sequence) })
				if _, ok := v.Find(Marker{node(1), seen + 1}); ok {
					seen++
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		close(start)
		for {
			if m, _, ok := v.Newest(); ok && m.Sequence > 100 {
				break
			}
		}
		v.End()
		close(stop)
		running.Wait()
		v.Since(0, func(m Marker, _ uint64) {
			if m.Sequence < seen {
				t.Fatalf("got marker %d of a view that ends at %d", seen, m.Sequence)
			}
		})
	}
}
