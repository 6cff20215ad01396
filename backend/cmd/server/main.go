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
	"sluice/internal/logging"
	"sluice/internal/source/redis"
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
	handler := cfg.Logger(os.Stderr).Handler()
	log := slog.New(logging.Bound(handler, slog.LevelInfo))
	redis.SetLog(slog.New(logging.Bound(handler, slog.LevelDebug)))
	// Registered before the start, since SIGHUP ends a process that does not handle it.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, stop, hangups, cfg, log); err != nil {
		fmt.Fprintln(os.Stderr, "server: error:", err)
		os.Exit(1)
	}
}

// run serves until the context ends, then drains; a further signal to end then ends the
// process at once. Each hangup reloads certificates and key files, also while draining.
func run(ctx context.Context, restoreSignals func(), hangups <-chan os.Signal, cfg config.Config, log *slog.Logger) error {
	s, err := Start(cfg, log)
	if err != nil {
		return err
	}
	fmt.Println("Sluice is serving", s.URL())
	go func() {
		for range hangups {
			s.Reload()
		}
	}()
	select {
	case <-ctx.Done():
		restoreSignals()
		return s.Shutdown(context.Background())
	case err := <-s.Failed():
		return err
	}
}
