// Command benchmarks starts servers and measures their CPU time and memory. It compares Sluice with
// other servers under the same load, compares one topic for all subscribers with one topic for each,
// measures very many idle subscribers, and audits finite streams.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"sluice/benchmarks/internal/compare"
	"sluice/benchmarks/internal/crowd"
	"sluice/benchmarks/internal/runs"
)

const progName = "benchmarks"

// cli is the command line.
type cli struct {
	Compare compare.Command `cmd:"" help:"Compare the CPU time and memory of servers under the same load."`
	Topics  compare.Topics  `cmd:"" help:"Compare one topic for all subscribers with a topic for each."`
	Crowd   crowd.Command   `cmd:"" help:"Measure the CPU time and memory for very many idle subscribers."`
	Runs    runs.Command    `cmd:"" help:"Audit finite streams, and count the Redis commands for each."`
	Members crowd.Members   `cmd:"" hidden:"" help:"Hold the connections of one process of a crowd."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "%s: error: %v\n", progName, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c cli
	parser := kong.Must(&c, kong.Name(progName), kong.Description("Measures the CPU time and memory of event stream servers."), kong.Writers(stdout, stderr))
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	switch command.Selected().Name {
	case "compare":
		return c.Compare.Run(ctx, stdout, stderr)
	case "topics":
		return c.Topics.Run(ctx, stdout, stderr)
	case "crowd":
		return c.Crowd.Run(ctx, stdout, stderr)
	case "runs":
		return c.Runs.Run(ctx, stdout, stderr)
	default:
		return c.Members.Run(ctx, os.Stdin, stdout)
	}
}
