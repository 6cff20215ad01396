// Command server is the gateway. It delivers messages and changes in Redis as Server-Sent Events.
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

// The linker sets these. commit and date are empty if the build does not know them.
var (
	version = "dev"
	commit  string
	date    string // of the commit
)

func main() {
	var cfg config.Config
	program := kong.Parse(&cfg,
		kong.Description("Sluice delivers messages and changes in Redis to browsers as Server-Sent Events."),
		kong.Vars{"version": versionText()},
	)
	handler := cfg.Logger(os.Stderr).Handler()
	log := slog.New(logging.Bound(handler, slog.LevelInfo))
	redis.SetLog(slog.New(logging.Bound(handler, slog.LevelDebug)))
	// Register before the start: SIGHUP ends a process that does not handle it.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, stop, hangups, cfg, log); err != nil {
		fmt.Fprintf(os.Stderr, "%s: error: %v\n", program.Model.Name, err)
		os.Exit(1)
	}
}

// versionText returns the version, and the commit if the build knows it.
func versionText() string {
	if commit == "" {
		return version
	}
	return fmt.Sprintf("%s (commit %s, %s)", version, commit, date)
}

// run serves until the context ends, and then drains. It calls restoreSignals before the drain, so a
// second signal ends the process at once. Each hangup reloads certificates and key files, also during
// the drain.
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
	case err := <-s.failed:
		return err
	}
}
