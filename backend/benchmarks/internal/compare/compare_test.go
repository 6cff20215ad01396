package compare

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestSearch_FindsPeak(t *testing.T) {
	t.Parallel()
	for _, peak := range []float64{1, 37, 5_000} {
		for _, near := range []float64{1, 10, 100, 20_000} {
			tries := 0
			got, err := search(near, func(rate float64) (bool, error) {
				tries++
				return rate <= peak, nil
			})
			if err != nil || got > peak || got < peak/closeEnough || tries > 30 {
				t.Errorf("from %v: peak %v: got %v after %d tries, error %v", near, peak, got, tries, err)
			}
		}
	}
}

func TestSearch_EndsWithoutSuccess(t *testing.T) {
	t.Parallel()
	if got, err := search(100, func(float64) (bool, error) { return false, nil }); got != 0 || err != nil {
		t.Errorf("got %v, error %v", got, err)
	}
	broken := errors.New("broken")
	if _, err := search(100, func(float64) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("got error %v", err)
	}
}

func TestTable_MediansRangesRatios(t *testing.T) {
	t.Parallel()
	table := newTable([]Contender{{Name: "ours"}, {Name: "theirs"}}, []Load{{100, 100}, {1000, 0.5}})
	table.cells[0][0].perEvent = samples{3, 1, 2}
	table.cells[1][0].perEvent = samples{5, 4}
	table.cells[1][1].failed = true
	var out bytes.Buffer
	if err := table.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"100 × 100/s", "1000 × 0.5/s", "2.0 (1.0–3.0) ×1.00", "4.0 (4.0–5.0) ×2.00", "failed", "ratio to ours"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, out.String())
		}
	}
}
