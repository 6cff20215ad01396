package compare

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

// samples holds repeated measurements of one value.
type samples []float64

func (s *samples) add(v float64) { *s = append(*s, v) }

func (s samples) last() float64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1]
}

// median returns the median. For an even number of samples, it is the lower of the middle two.
func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(s))[(len(s)-1)/2]
}

// cell holds the measurements of one server under one load.
type cell struct {
	perEvent samples // CPU time for each delivery, in µs
	idle     samples // memory of an idle connection, in KB
	peak     samples // deliveries per second
	failed   bool    // messages were lost in at least one round
}

// table is the result of a comparison.
type table struct {
	contenders []Contender
	loads      []Load
	cells      [][]cell // by contender and load
}

func newTable(contenders []Contender, loads []Load) *table {
	t := &table{contenders: contenders, loads: loads, cells: make([][]cell, len(contenders))}
	for i := range t.cells {
		t.cells[i] = make([]cell, len(loads))
	}
	return t
}

func (t *table) print(w io.Writer) error {
	decimals := func(v float64) string { return fmt.Sprintf("%.1f", v) }
	thousands := func(v float64) string { return humanize.Comma(int64(v / 1000)) }
	for _, section := range []struct {
		title  string
		of     func(*cell) samples
		format func(float64) string
	}{
		{"µs of the server's CPU for each delivery", func(c *cell) samples { return c.perEvent }, decimals},
		{"KB of the server's memory for each idle connection", func(c *cell) samples { return c.idle }, decimals},
		{fmt.Sprintf("maximum deliveries per second, in thousands, with no message lost and p99 at most %s", latencyLimit), func(c *cell) samples { return c.peak }, thousands},
	} {
		if err := t.printSection(w, section.title, section.of, section.format); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "Medians, with the minimum and the maximum in brackets; × is the ratio to %s.\n", t.contenders[0].Name)
	return err
}

// printSection prints one value of all servers, with its ratio to the value of the first server.
func (t *table) printSection(w io.Writer, title string, of func(*cell) samples, format func(float64) string) error {
	if !t.measured(of) {
		return nil
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, title)
	fmt.Fprint(out, "\t")
	for _, l := range t.loads {
		fmt.Fprintf(out, "%s\t", l)
	}
	fmt.Fprintln(out)
	for i, c := range t.contenders {
		fmt.Fprintf(out, "%s\t", c.Name)
		for k := range t.loads {
			first, own := of(&t.cells[0][k]), of(&t.cells[i][k])
			switch {
			case len(own) == 0 && t.cells[i][k].failed:
				fmt.Fprint(out, "failed\t")
			case len(own) == 0:
				fmt.Fprint(out, "–\t")
			default:
				fmt.Fprintf(out, "%s (%s–%s)", format(own.median()), format(slices.Min(own)), format(slices.Max(own)))
				if first.median() > 0 {
					fmt.Fprintf(out, " ×%.2f", own.median()/first.median())
				}
				fmt.Fprint(out, "\t")
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out)
	return out.Flush()
}

// measured reports whether a value was measured, or failed, for any server.
func (t *table) measured(of func(*cell) samples) bool {
	for i := range t.cells {
		for k := range t.cells[i] {
			if c := &t.cells[i][k]; len(of(c)) > 0 || c.failed {
				return true
			}
		}
	}
	return false
}
