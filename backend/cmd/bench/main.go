// Command bench loads a deployment of Sluice, measures it and audits it. It opens subscribers,
// publishes numbered messages, and checks that each subscriber receives each message once and
// in order, except for messages that are missing at an announced gap.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"sluice/internal/config"
	"sluice/internal/event"
)

// Exit statuses.
const (
	exitKept   = 0 // the delivery guarantee was kept
	exitBroken = 1 // the delivery guarantee was broken
	exitError  = 2 // the measurement failed
)

const (
	progName   = "bench"
	eventsPath = "/events"
	maxSize    = 1 << 20 // of a message, in bytes; the limit of a publish over HTTP
)

// cli is the command line.
type cli struct {
	Audit flags `cmd:"" default:"withargs" help:"Load a deployment and audit the events that its subscribers receive (the default)."`
}

// flags holds the flags of the audit.
type flags struct {
	Targets     []string `name:"target" default:"http://localhost:4000" placeholder:"URL" help:"URL of a gateway to subscribe to; may be repeated."`
	RedisURL    string   `default:"redis://127.0.0.1:6379" env:"REDIS_URL" placeholder:"URL" help:"Redis to publish to."`
	RedisCA     string   `name:"redis-ca" env:"SLUICE_REDIS_CA" placeholder:"FILE" help:"PEM file of the certificate authorities to trust for rediss://, instead of those of the system."`
	PublishHTTP bool     `name:"publish-http" help:"Publish through the targets with POST /events instead of to Redis. The targets need --allow-publish for the topics."`

	Subscribers int           `default:"500" help:"Number of subscribers."`
	Topics      config.Topics `default:"channel:bench,stream:bench,key:bench:value" placeholder:"TOPIC,…" help:"Literal topics; the targets need --allow-subscribe for them."`
	Mixed       bool          `help:"Subscribe each subscriber to all topics over one connection, instead of to one topic."`
	Rate        float64       `default:"100" help:"Messages per second to each topic."`
	Size        int           `default:"128" help:"Minimum size of a message in bytes."`
	Duration    time.Duration `default:"10s" help:"Time of publishing."`

	Churn    time.Duration `help:"Mean time after which a subscriber disconnects and reconnects to a random target; 0 for never."`
	Slow     int           `help:"Number of subscribers that read slowly."`
	HTTP2    bool          `name:"http2" help:"Subscribe over HTTP/2, with or without TLS, instead of HTTP/1.1."`
	Storm    time.Duration `help:"Halfway, disconnect all subscribers at once, and reconnect them at once after this time, when the targets are ready; 0 for never."`
	Patience time.Duration `default:"30s" help:"Time without progress after which bench stops waiting."`

	JSON bool `name:"json" help:"Print the result as JSON."`
}

// Validate implements kong's hook, which is called when all values are set.
func (f *flags) Validate() error {
	for _, t := range f.Targets {
		if u, err := url.Parse(t); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("--target: %q is not a URL such as http://localhost:4000", t)
		}
	}
	used := make(map[string]event.Topic)
	for _, t := range f.Topics {
		name := fmt.Sprint(t.Kind == event.Channel, t.Name()) // keys of all types share their names
		other, found := used[name]
		switch {
		case t.IsGlob():
			return fmt.Errorf("--topics: %s is a glob; messages are published to literal topics", t)
		case found && other == t:
			return fmt.Errorf("--topics: %s is listed twice", t)
		case found:
			return fmt.Errorf("--topics: %s and %s would be the same key in Redis", other, t)
		}
		used[name] = t
	}
	switch {
	case len(f.Topics) == 0:
		return errors.New("--topics needs at least one topic")
	case f.Subscribers < 1:
		return errors.New("--subscribers must be at least 1")
	case f.Rate <= 0:
		return errors.New("--rate must be more than 0")
	case f.Size > maxSize:
		return fmt.Errorf("--size must be at most %d", maxSize)
	case f.Slow < 0 || f.Slow > f.Subscribers:
		return errors.New("--slow must be from 0 to the number of subscribers")
	case f.Duration <= 0 || f.Patience <= 0:
		return errors.New("--duration and --patience must be more than 0")
	case f.Churn < 0 || f.Storm < 0:
		return errors.New("--churn and --storm must not be negative")
	}
	return nil
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the program and returns its exit status. The first SIGINT or SIGTERM ends publishing
// early; before publishing it ends the measurement. The second ends the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	parser := kong.Must(&c,
		kong.Name(progName),
		kong.Description("Loads a deployment of Sluice, measures it, and audits the events that its subscribers receive. The exit status is 1 if the delivery guarantee was broken."),
		kong.Writers(stdout, stderr),
	)
	if _, err := parser.Parse(args); err != nil {
		fmt.Fprintf(stderr, "%s: error: %v\n", progName, err)
		return exitError
	}
	early, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(early, stop)()
	result, err := measure(ctx, early, c.Audit, stderr)
	if err == nil {
		output := result.printTable
		if c.Audit.JSON {
			output = result.printJSON
		}
		err = output(stdout)
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "%s: error: %v\n", progName, err)
		return exitError
	case !result.Kept:
		return exitBroken
	}
	return exitKept
}
