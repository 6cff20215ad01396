package tracking

import (
	"fmt"
	"slices"
	"testing"
)

func TestMergePrefixes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		prefixes []string
		limit    int
		want     []string
	}{
		{[]string{"b", "a", "b"}, 3, []string{"a", "b"}},
		{[]string{"price:", "price:BTC", "p"}, 3, []string{"p"}},
		{[]string{"a", ""}, 3, []string{""}},
		{[]string{"user:1", "user:2", "order:1"}, 2, []string{"order", "user:"}},
		{[]string{"a", "b", "c"}, 1, []string{""}},
	} {
		got := mergePrefixes(tt.prefixes, tt.limit)
		if !slices.Equal(got, tt.want) {
			t.Errorf("merge of %q to %d: got %q, want %q", tt.prefixes, tt.limit, got, tt.want)
		}
	}
	var many []string
	for i := range 10_000 {
		many = append(many, fmt.Sprint("topic:", i))
	}
	merged := mergePrefixes(many, maxPrefixes)
	if len(merged) > maxPrefixes {
		t.Errorf("got %d prefixes", len(merged))
	}
	for _, p := range many {
		if !covered(p, merged) {
			t.Errorf("%s is not covered by %q", p, merged)
		}
	}
}
