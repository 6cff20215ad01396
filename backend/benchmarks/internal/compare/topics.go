package compare

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sluice/benchmarks/internal/rig"
)

// Topics is the command line of a comparison of two loads of one server: one topic for all
// subscribers, and one topic for each.
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
	own := make([]string, c.Topics)
	for i := range own {
		own[i] = fmt.Sprintf("bench.%d", i)
	}
	var shared, alone cell
	for round := range c.Rounds {
		for _, way := range []struct {
			name     string
			channels []string
			rate     float64 // messages per second, the sum of all channels
			cell     *cell
		}{
			{"one topic for all", []string{rig.Channel}, c.Rate / float64(c.Topics), &shared},
			{"a topic for each", own, c.Rate, &alone},
		} {
			fmt.Fprintf(progress, "round %d of %d: %s\n", round+1, c.Rounds, way.name)
			if err := c.measure(ctx, way.channels, way.rate, way.cell); err != nil {
				return err
			}
			fmt.Fprintf(progress, "  %.2f µs/delivery, %.1f KB/subscriber\n", way.cell.perEvent.last(), way.cell.idle.last())
		}
	}
	fmt.Fprintf(out, "%d subscribers, %.0f deliveries a second\n", c.Topics, c.Rate)
	fmt.Fprintf(out, "one topic for all: %.1f µs of CPU for each delivery, %.1f KB for each subscriber\n", shared.perEvent.median(), shared.idle.median())
	fmt.Fprintf(out, "a topic for each:  %.1f µs of CPU for each delivery, %.1f KB for each subscriber and topic\n", alone.perEvent.median(), alone.idle.median())
	_, err = fmt.Fprintf(out, "memory of a topic: %.1f KB; CPU time of a delivery with a topic for each: ×%.2f\n", alone.idle.median()-shared.idle.median(), alone.perEvent.median()/shared.perEvent.median())
	return err
}

func (c *Topics) measure(ctx context.Context, channels []string, rate float64, cell *cell) error {
	s, err := c.open(ctx, Contender{"the server", c.Command}, channels, c.Topics)
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
