// Command bench measures a deployment of Sluice and audits it: it opens subscribers,
// publishes numbered messages, and checks that each subscriber got each of them once
// and in order, except where a gap was announced.
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

// The exit status.
const (
	kept     = 0 // the audit found nothing wrong
	broken   = 1 // the promise was broken
	couldNot = 2 // there is no result
)

const (
	progName   = "bench"
	eventsPath = "/events"
	maxSize    = 1 << 20 // of a message; a publish over HTTP takes no more
)

// cli is the command line.
type cli struct {
	Audit flags `cmd:"" default:"withargs" help:"Load a deployment and audit what its subscribers get (the default)."`
}

// flags are those of the audit.
type flags struct {
	Targets     []string `name:"target" default:"http://localhost:4000" placeholder:"URL" help:"Gateway to subscribe at; may be repeated."`
	RedisURL    string   `default:"redis://127.0.0.1:6379" env:"REDIS_URL" placeholder:"URL" help:"Redis to publish to."`
	RedisCA     string   `name:"redis-ca" env:"SLUICE_REDIS_CA" placeholder:"FILE" help:"Authorities in PEM to trust for rediss://, in place of the system's."`
	PublishHTTP bool     `name:"publish-http" help:"Publish through the targets instead, with POST /events. They need --allow-publish for the topics."`

	Subscribers int           `default:"500" help:"How many subscribers."`
	Topics      config.Topics `default:"channel:bench,stream:bench,key:bench:value" placeholder:"TOPIC,…" help:"Literal topics; the targets need --allow-subscribe for them."`
	Mixed       bool          `help:"Each subscriber follows all topics over one connection, not one of them."`
	Rate        float64       `default:"100" help:"Messages a second to each topic."`
	Size        int           `default:"128" help:"Bytes of a message, at least."`
	Duration    time.Duration `default:"10s" help:"How long to publish."`

	Churn    time.Duration `help:"Mean time after which a subscriber drops its line and comes back at a random target; 0 for never."`
	Slow     int           `help:"How many of the subscribers read slowly."`
	HTTP2    bool          `name:"http2" help:"Subscribe over HTTP/2, with or without TLS, instead of HTTP/1.1."`
	Storm    time.Duration `help:"Halfway, all leave at once, stay away at least this long and until the targets are ready, and come back at once; 0 for never."`
	Patience time.Duration `default:"30s" help:"How long nothing may move before bench gives up waiting."`

	JSON bool `name:"json" help:"Print the result as JSON."`
}

// Validate implements kong's hook, which is called when all values are set.
func (f *flags) Validate() error {
	for _, t := range f.Targets {
		if u, err := url.Parse(t); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("--target: %q is not an address such as http://localhost:4000", t)
		}
	}
	type place struct {
		name    string
		channel bool // else a key of Redis, whatever it holds
	}
	taken := make(map[place]event.Topic)
	for _, t := range f.Topics {
		at := place{t.Name(), t.Kind == event.Channel}
		other, found := taken[at]
		switch {
		case t.IsGlob():
			return fmt.Errorf("--topics: %s is a glob; messages are published to literal topics", t)
		case found && other == t:
			return fmt.Errorf("--topics: %s stands there twice", t)
		case found:
			return fmt.Errorf("--topics: %s and %s would be the same key in Redis", other, t)
		}
		taken[at] = t
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

// run is the whole program; it returns the exit status. A first SIGINT or SIGTERM ends
// the publishing of an audit early, and everything else; a second one the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	parser := kong.Must(&c,
		kong.Name(progName),
		kong.Description("Measures a deployment of Sluice and audits what its subscribers get. The exit status of an audit is 1 if the promise was broken."),
		kong.Writers(stdout, stderr),
	)
	if _, err := parser.Parse(args); err != nil {
		fmt.Fprintf(stderr, "%s: error: %v\n", progName, err)
		return couldNot
	}
	early, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(early, stop)()
	status, err := runAudit(ctx, early, c.Audit, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "%s: error: %v\n", progName, err)
		return couldNot
	}
	return status
}

// runAudit measures and prints the result; early ends the publishing.
func runAudit(ctx, early context.Context, f flags, stdout, stderr io.Writer) (status int, err error) {
	result, err := measure(ctx, early, f, stderr)
	if err != nil {
		return couldNot, err
	}
	show := result.printTable
	if f.JSON {
		show = result.printJSON
	}
	if err := show(stdout); err != nil {
		return couldNot, err
	}
	if !result.Kept {
		return broken, nil
	}
	return kept, nil
}
