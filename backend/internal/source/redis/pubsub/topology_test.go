package pubsub

import "testing"

func TestTopology_UnservedSlots(t *testing.T) {
	t.Parallel()
	a, b, c := server{"a", "1"}, server{"b", "2"}, server{"c", "3"}
	whole := []slotRange{{0, 99, a}, {100, 100, b}, {101, slots - 1, c}}
	for _, tt := range []struct {
		slots []slotRange
		down  []server
		want  string
	}{
		{whole, nil, ""},
		{whole, []server{b}, "100"},
		{whole, []server{a, b}, "0-100"},
		{whole, []server{a, c}, "0-99,101-16383"},
		{whole, []server{a, b, c}, "0-16383"},
		{[]slotRange{{1, 5, a}, {7, 9, b}, {12, slots - 2, a}}, nil, "0,6,10-11,16383"},
		{[]slotRange{{1, 5, a}, {7, 9, b}, {12, slots - 2, a}}, []server{b}, "0,6-11,16383"},
	} {
		down := make(map[server]bool)
		for _, s := range tt.down {
			down[s] = true
		}
		if got := (Topology{slots: tt.slots}).unserved(down); got != tt.want {
			t.Errorf("%v without %v: got %q, want %q", tt.slots, tt.down, got, tt.want)
		}
	}
}
