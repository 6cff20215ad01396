package crowd

import (
	"strings"
	"testing"
)

func TestResult_KernelMemoryMayShrink(t *testing.T) {
	t.Parallel()
	const mebi = 1 << 20
	r := result{slab: growth(mebi, 3*mebi), tcp: growth(3*mebi, mebi)}
	var text strings.Builder
	if err := r.print(&text, 1024); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"  2.0 MiB, 2.00 KB each (both ends)\n", "  -2.0 MiB, -2.00 KB each (change"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("want %q in the output:\n%s", want, text.String())
		}
	}
}
