package runs

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/redis/go-redis/v9"
)

// ownCommands are the commands of this program during a measurement. The gateways do not use them: they
// add entries only for a publish over HTTP.
var ownCommands = []string{"xadd", "info"}

// countCommands returns the number of calls of each Redis command, without [ownCommands].
func countCommands(ctx context.Context, client *redis.Client) (map[string]int64, error) {
	text, err := client.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int64)
	for line := range strings.Lines(text) {
		name, stats, found := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !found || slices.Contains(ownCommands, name) {
			continue
		}
		var calls int64
		if _, err := fmt.Sscanf(stats, "%d,", &calls); err != nil {
			return nil, fmt.Errorf("commandstats: %q: %w", line, err)
		}
		counts[name] = calls
	}
	return counts, nil
}

// row is one line of the table.
type row struct{ name, value string }

func (r *result) rows() []row {
	count := func(n int) string { return humanize.Comma(int64(n)) }
	join := func(quantile float64) string {
		if r.joins.TotalCount() == 0 {
			return "–"
		}
		return fmt.Sprintf("%.1f ms", float64(r.joins.ValueAtQuantile(quantile))/1000)
	}
	perRun := func(calls int64) string { return fmt.Sprintf("%.0f", float64(calls)/float64(r.runs)) }
	var sum int64
	for _, calls := range r.commands {
		sum += calls
	}
	rows := []row{
		{"viewers of each run", count(r.viewersPerRun)},
		{"runs", count(r.runs)},
		{"viewers", count(r.viewers)},
		{"reconnects after a drop", count(r.drops)},
		{"tokens delivered", count(r.tokens)},
		{"from a late join to its first token, p50", join(50)},
		{"p99", join(99)},
		{"Redis commands per run", perRun(sum)},
	}
	for _, name := range []string{"multi", "xrange", "xinfo|stream", "exec", "xread", "client|unblock"} {
		rows = append(rows, row{name, perRun(r.commands[name])})
	}
	return append(rows, row{"violations", count(len(r.violations))})
}

// print prints the two results side by side, and the violations. It returns an error if there are any.
func (c *Command) print(w io.Writer, few, many *result) error {
	fmt.Fprintf(w, "%d runs at a time, %d tokens each at %g/s; gateways: %d\n", c.Runs, c.Tokens, c.Rate, c.Gateways)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	left, right := few.rows(), many.rows()
	for i := range left {
		fmt.Fprintf(t, "%s\t%s\t%s\t\n", left[i].name, left[i].value, right[i].value)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	violations := slices.Concat(few.violations, many.violations)
	for _, v := range violations {
		fmt.Fprintf(w, "violation: %v\n", v)
	}
	if len(violations) > 0 {
		return fmt.Errorf("%d viewers did not receive their run as they must", len(violations))
	}
	return nil
}
