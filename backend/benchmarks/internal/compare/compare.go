// Package compare measures servers under the same load, one after the other in several rounds, and
// prints their CPU time, memory and peak rates.
package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"sluice/benchmarks/internal/rig"
)

// Contender is a server to compare.
type Contender struct {
	Name    string
	Command string // a line for the shell
}

// UnmarshalText reads NAME=COMMAND.
func (c *Contender) UnmarshalText(text []byte) error {
	name, command, ok := strings.Cut(string(text), "=")
	if !ok || name == "" || command == "" {
		return fmt.Errorf("%q is not NAME=COMMAND, such as sluice=backend/bin/server", text)
	}
	c.Name, c.Command = name, command
	return nil
}

// Load is a number of subscribers and the rate of messages to each of them.
type Load struct {
	Subscribers int
	Rate        float64 // messages per second
}

// UnmarshalText reads SUBSCRIBERSxRATE.
func (l *Load) UnmarshalText(text []byte) error {
	subscribers, rate, _ := strings.Cut(string(text), "x")
	var err, errRate error
	l.Subscribers, err = strconv.Atoi(subscribers)
	l.Rate, errRate = strconv.ParseFloat(rate, 64)
	if errors.Join(err, errRate) != nil || l.Subscribers < 1 || !(l.Rate > 0) {
		return fmt.Errorf("%q is not SUBSCRIBERSxRATE, such as 1000x10", text)
	}
	return nil
}

func (l Load) String() string {
	return fmt.Sprintf("%d × %g/s", l.Subscribers, l.Rate)
}

// Command is the command line of a comparison.
type Command struct {
	conditions
	Contenders []Contender   `arg:"" sep:"none" placeholder:"NAME=COMMAND" help:"Servers, each with the shell command that starts it; the first is the reference. A server gets PORT and REDIS_URL in its environment, and must serve the Redis channel updates at /events."`
	Loads      []Load        `default:"100x100,1000x10,10000x1" placeholder:"N×RATE,…" help:"Numbers of subscribers, each with the number of messages per second to each subscriber."`
	Step       time.Duration `default:"1s" help:"Duration of each step of the search for the peak rate."`
	Large      int           `default:"1000" help:"Minimum number of subscribers at which the memory of a connection and the peak rate are measured."`
	Full       bool          `help:"Measure five rounds, with loads of 10 seconds and steps of 3 seconds, for results to publish."`
}

// Validate implements kong's hook, which is called when all values are set.
func (c *Command) Validate() error {
	if c.Step <= 0 {
		return errors.New("--step must be more than 0")
	}
	return c.validate()
}

// Run compares the servers. It prints the result to out, and progress messages to progress.
func (c *Command) Run(ctx context.Context, out, progress io.Writer) error {
	if c.Full {
		c.Rounds, c.Time, c.Step = 5, 10*time.Second, 3*time.Second
	}
	done, err := c.prepare(ctx, progress)
	if err != nil {
		return err
	}
	defer done()
	t := newTable(c.Contenders, c.Loads)
	for round := range c.Rounds {
		for i, load := range c.Loads {
			for k, contender := range c.Contenders {
				fmt.Fprintf(progress, "round %d of %d: %s, %s\n", round+1, c.Rounds, load, contender.Name)
				cell := &t.cells[k][i]
				if err := c.measure(ctx, contender, load, cell, progress); err != nil {
					return err
				}
			}
		}
	}
	return t.print(out)
}

// nearPeak is the rate at which the first search for a peak begins, in deliveries per second.
const nearPeak = 100_000

// measure measures a server under one load and adds the samples to cell.
func (c *Command) measure(ctx context.Context, contender Contender, l Load, cell *cell, progress io.Writer) error {
	s, err := c.open(ctx, contender, [][]string{{rig.Channel}}, []string{rig.Channel}, l.Subscribers)
	if err != nil {
		return err
	}
	defer s.close()
	large := l.Subscribers >= c.Large
	if large {
		cell.idle.add(s.idle / 1024)
	}
	p, err := s.run(ctx, l.Rate, c.Time)
	if err != nil {
		return err
	}
	if err := p.complete(); err != nil {
		fmt.Fprintf(progress, "  not measured: %v\n", err)
		cell.failed = true
	} else {
		cell.perEvent.add(micros(p.perEvent))
		fmt.Fprintf(progress, "  %.2f µs/delivery, p99 %.1f ms\n", micros(p.perEvent), millis(p.p99()))
	}
	if !large {
		return nil
	}
	near := nearPeak / float64(l.Subscribers)
	if last := cell.peak.last(); last > 0 {
		near = last / float64(l.Subscribers)
	}
	rate, err := s.peak(ctx, near, c.Step, func(rate float64, p phase, good bool) {
		verdict := "passed"
		if !good {
			verdict = "failed"
		}
		fmt.Fprintf(progress, "  %.0f messages/s, p99 %.1f ms, %s\n", rate, millis(p.p99()), verdict)
	})
	cell.peak.add(rate * float64(l.Subscribers))
	return err
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
