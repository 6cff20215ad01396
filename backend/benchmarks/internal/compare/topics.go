package compare

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sluice/benchmarks/internal/rig"
)

// Topics is the command line of a comparison of three loads of one server: one topic for all
// subscribers, one topic for each, and a list for each of the common topic and its own one, which is
// quiet.
type Topics struct {
	conditions
	Command string  `arg:"" help:"Shell command that starts the server."`
	Topics  int     `default:"15000" help:"Number of subscribers, and of topics."`
	Rate    float64 `default:"30000" help:"Deliveries per second. The rate should keep the server busy; otherwise the result is mostly the cost of waking an idle process."`
}

// Validate implements kong's hook.
func (c *Topics) Validate() error {
	if c.Topics < 1 || !(c.Rate > 0) {
		return errors.New("--topics and --rate must be more than 0")
	}
	return c.validate()
}

// Run compares the loads. It prints the result to out, and progress messages to progress.
func (c *Topics) Run(ctx context.Context, out, progress io.Writer) error {
	done, err := c.prepare(ctx, progress)
	if err != nil {
		return err
	}
	defer done()
	all := []string{rig.Channel}
	var own []string
	var owns, both [][]string
	for i := range c.Topics {
		name := fmt.Sprintf("bench.%d", i)
		own = append(own, name)
		owns = append(owns, []string{name})
		both = append(both, []string{rig.Channel, name})
	}
	var shared, alone, listed cell
	for round := range c.Rounds {
		for _, way := range []struct {
			name      string
			lists     [][]string
			published []string
			rate      float64 // messages per second, the sum of all channels
			cell      *cell
		}{
			{"one topic for all", [][]string{all}, all, c.Rate / float64(c.Topics), &shared},
			{"a topic for each", owns, own, c.Rate, &alone},
			{"the common topic and one for each", both, all, c.Rate / float64(c.Topics), &listed},
		} {
			fmt.Fprintf(progress, "round %d of %d: %s\n", round+1, c.Rounds, way.name)
			if err := c.measure(ctx, way.lists, way.published, way.rate, way.cell); err != nil {
				return err
			}
			fmt.Fprintf(progress, "  %.2f µs/delivery, %.1f KB/subscriber\n", way.cell.perEvent.last(), way.cell.idle.last())
		}
	}
	fmt.Fprintf(out, "%d subscribers, %.0f deliveries a second\n", c.Topics, c.Rate)
	fmt.Fprintf(out, "one topic for all: %.1f µs of CPU for each delivery, %.1f KB for each subscriber\n", shared.perEvent.median(), shared.idle.median())
	fmt.Fprintf(out, "a topic for each:  %.1f µs of CPU for each delivery, %.1f KB for each subscriber and topic\n", alone.perEvent.median(), alone.idle.median())
	fmt.Fprintf(out, "both for each:     %.1f µs of CPU for each delivery, %.1f KB for each subscriber and topic\n", listed.perEvent.median(), listed.idle.median())
	_, err = fmt.Fprintf(out, "memory of a topic: %.1f KB; CPU time of a delivery: ×%.2f with a topic for each, ×%.2f with both\n",
		alone.idle.median()-shared.idle.median(), alone.perEvent.median()/shared.perEvent.median(), listed.perEvent.median()/shared.perEvent.median())
	return err
}

func (c *Topics) measure(ctx context.Context, lists [][]string, published []string, rate float64, cell *cell) error {
	s, err := c.open(ctx, Contender{"the server", c.Command}, lists, published, c.Topics)
	if err != nil {
		return err
	}
	defer s.close()
	p, err := s.run(ctx, rate, c.Time)
	if err != nil {
		return err
	}
	if err := p.complete(); err != nil {
		return err
	}
	cell.idle.add(s.idle / 1024)
	cell.perEvent.add(micros(p.perEvent))
	return nil
}
