// Command publisher publishes the demo feeds, or each line of its standard input, to Redis.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"sluice/internal/demo"
	"sluice/internal/event"
	"sluice/internal/source/redis"
)

type flags struct {
	RedisURL string  `default:"redis://127.0.0.1:6379" env:"REDIS_URL" placeholder:"URL" help:"Redis to publish to: redis://, rediss://, unix://, redis-sentinel:// or redis-cluster://."`
	RedisCA  string  `name:"redis-ca" env:"SLUICE_REDIS_CA" placeholder:"FILE" help:"PEM file of the certificate authorities to trust for rediss://, instead of those of the system."`
	Stdin    *string `placeholder:"TOPIC" help:"Publish each line of the standard input to this topic, for instance stream:logs, instead of the demo feeds."`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("publisher"), kong.Description("Publishes the demo feeds, or each line of its standard input, to Redis."))
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	redis.SetLog(log)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f, os.Stdin, log); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "publisher: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags, in io.Reader, log *slog.Logger) error {
	options, err := redis.Configure(f.RedisURL, f.RedisCA)
	if err != nil {
		return err
	}
	publisher := redis.OpenPublisher(options)
	defer publisher.Close()
	if f.Stdin == nil {
		log.Info("publishing the demo feeds", "topics", demo.Topics())
		demo.Run(ctx, publisher.Publish, false, log)
		return nil
	}
	topic, err := event.ParseTopic(*f.Stdin)
	if err != nil {
		return fmt.Errorf("--stdin: %w", err)
	}
	if topic.IsGlob() {
		return errors.New("--stdin: lines go to one topic, as in --stdin stream:logs; write \\*, \\? or \\[ for the character itself")
	}
	published := make(chan error, 1)
	go func() { published <- publishLines(ctx, in, topic, publisher.Publish, log) }()
	select {
	case err := <-published:
		return err
	case <-ctx.Done(): // do not wait for publishLines: a read of in cannot be interrupted
		return ctx.Err()
	}
}
