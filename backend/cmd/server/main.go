// Command server is the gateway: it turns what happens in Redis into Server-Sent
// Events.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"sluice/internal/config"
)

// version is set at build time.
var version = "dev"

func main() {
	var cfg config.Config
	kong.Parse(&cfg,
		kong.Name("server"),
		kong.Description("Sluice turns what already happens in Redis into live events in the browser."),
		kong.Vars{"version": version},
	)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, stop, cfg, log); err != nil {
		fmt.Fprintln(os.Stderr, "server: error:", err)
		os.Exit(1)
	}
}

// run serves until the context ends, then drains. From then on a second signal ends
// the process at once.
func run(ctx context.Context, restoreSignals func(), cfg config.Config, log *slog.Logger) error {
	s, err := Start(cfg, log)
	if err != nil {
		return err
	}
	fmt.Println("Sluice is serving", s.URL())
	select {
	case <-ctx.Done():
		restoreSignals()
		return s.Shutdown()
	case err := <-s.Failed():
		return err
	}
}
