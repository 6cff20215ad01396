// Package runs measures finite streams. It writes runs to Redis, reads them with viewers that drop
// their connections at random, and audits what each viewer received.
package runs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/redis/go-redis/v9"

	"sluice/benchmarks/internal/rig"
)

// Command is the command line of the measurement.
type Command struct {
	Command  string        `arg:"" help:"Shell command that starts a gateway."`
	Gateways int           `default:"2" help:"Number of gateways."`
	Runs     int           `default:"20" help:"Number of runs at a time."`
	Tokens   int           `default:"200" help:"Number of tokens of each run."`
	Rate     float64       `default:"50" help:"Tokens per second of each run."`
	Viewers  int           `default:"10" help:"Number of viewers of each run."`
	Time     time.Duration `default:"30s" help:"Time during which new runs start, in each of the two measurements."`
}

// Validate implements kong's hook.
func (c *Command) Validate() error {
	switch {
	case c.Gateways < 1 || c.Viewers < c.Gateways:
		return errors.New("--gateways must be at least 1, and --viewers at least as many")
	case c.Runs < 1 || c.Tokens < 1 || !(c.Rate > 0) || c.Time <= 0:
		return errors.New("--runs, --tokens, --rate and --time must be more than 0")
	}
	return nil
}

// length returns the time between the first token of a run and its end.
func (c *Command) length() time.Duration {
	return time.Duration(float64(c.Tokens) / c.Rate * float64(time.Second))
}

const (
	// patience is the time after the end of a run within which its viewers must have received it.
	patience = 30 * time.Second
	// dropsPerRun is the mean number of drops of a viewer that joins at the start.
	dropsPerRun = 4
	// maxJoin bounds the recorded times of joins.
	maxJoin    = time.Minute
	joinDigits = 3 // significant digits
)

// result is the result of one measurement.
type result struct {
	viewersPerRun int
	commands      map[string]int64 // calls of Redis commands by the gateways

	mu         sync.Mutex // protects the fields below during the measurement
	runs       int
	viewers    int
	drops      int                     // connections that viewers dropped
	tokens     int                     // delivered tokens
	joins      *hdrhistogram.Histogram // time from the request of a join to its first token, in µs
	violations []error
}

func newResult(viewersPerRun int) *result {
	return &result{viewersPerRun: viewersPerRun, joins: hdrhistogram.New(1, maxJoin.Microseconds(), joinDigits)}
}

// Run measures with one viewer of each run per gateway, and then with all viewers. It prints the
// result to out, and progress messages to progress. It returns an error if the audit of a viewer
// failed.
func (c *Command) Run(ctx context.Context, out, progress io.Writer) error {
	fmt.Fprintf(progress, "%d of %d viewers of each run\n", c.Gateways, c.Viewers)
	few, err := c.measure(ctx, c.Gateways)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "all %d viewers of each run\n", c.Viewers)
	many, err := c.measure(ctx, c.Viewers)
	if err != nil {
		return err
	}
	return c.print(out, few, many)
}

// measure starts Redis and the gateways, and measures with a number of viewers of each run.
// The processes are new each time because a gateway follows a run for some time after its end.
func (c *Command) measure(ctx context.Context, viewers int) (*result, error) {
	process, redisURL, err := rig.StartRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer process.Stop()
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		return nil, err
	}
	options.PoolSize = c.Runs + 1
	options.MaxRetries = -1 // a retry could write a token twice
	client := redis.NewClient(options)
	defer client.Close()
	m := &measurement{command: c, result: newResult(viewers)}
	for i := range c.Gateways {
		gateway, err := rig.StartServer(ctx, fmt.Sprintf("gateway %d", i+1), c.Command, redisURL, "SLUICE_ALLOW_SUBSCRIBE=channel:"+rig.Channel+",stream:run:*")
		if err != nil {
			return nil, err
		}
		defer gateway.Stop()
		m.gateways = append(m.gateways, gateway)
	}
	// The producers connect before the first count, so it includes the commands of their connections.
	producers := make([]*redis.Conn, c.Runs)
	for i := range producers {
		producers[i] = client.Conn()
		defer producers[i].Close()
		if err := producers[i].Ping(ctx).Err(); err != nil {
			return nil, err
		}
	}
	before, err := countCommands(ctx, client)
	if err != nil {
		return nil, err
	}
	if err := m.work(ctx, producers); err != nil {
		return nil, err
	}
	after, err := countCommands(ctx, client)
	if err != nil {
		return nil, err
	}
	for name, calls := range before {
		after[name] -= calls
	}
	m.result.commands = after
	return m.result, nil
}

// measurement is a measurement in progress.
type measurement struct {
	command  *Command
	gateways []*rig.Server
	result   *result
}

// work writes runs with each producer, one after the other, until the time is over and the viewers of
// the last runs are done.
func (m *measurement) work(ctx context.Context, producers []*redis.Conn) error {
	deadline := time.Now().Add(m.command.Time)
	errs := make([]error, len(producers))
	var working sync.WaitGroup
	for i, producer := range producers {
		working.Go(func() {
			// The producers start at different times, so the runs are at different tokens.
			errs[i] = rig.Sleep(ctx, m.command.length()*time.Duration(i)/time.Duration(len(producers)))
			for n := 0; errs[i] == nil && (n == 0 || time.Now().Before(deadline)); n++ {
				errs[i] = m.run(ctx, producer, fmt.Sprintf("run:%d:%d", i, n))
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}

// run writes one run and returns when all its viewers are done. The first viewer at each gateway joins
// at the start, so all gateways read the whole run whatever the number of viewers is. The other
// viewers join at random moments.
func (m *measurement) run(ctx context.Context, producer *redis.Conn, stream string) error {
	watched, cancel := context.WithTimeout(ctx, m.command.length()+patience)
	defer cancel()
	urls := make([]string, len(m.gateways))
	for i, gateway := range m.gateways {
		urls[i] = gateway.Run(stream)
	}
	started := make(chan struct{})
	var watching sync.WaitGroup
	for i := range m.result.viewersPerRun {
		v := &viewer{urls: urls, next: i % len(urls), tokens: m.command.Tokens, life: m.command.length() / dropsPerRun}
		late := i >= len(urls)
		watching.Go(func() {
			if late {
				select {
				case <-started:
					_ = rig.Sleep(watched, rand.N(m.command.length())) // if it fails, so does the viewer
				case <-watched.Done():
				}
			}
			err := v.watch(watched)
			if ctx.Err() == nil {
				m.result.add(v, late, fmt.Sprintf("%s, viewer %d", stream, i), err)
			}
		})
	}
	err := m.write(watched, producer, stream, started)
	if err != nil {
		cancel()
	}
	watching.Wait()
	if err != nil {
		return fmt.Errorf("writing %s: %w", stream, err)
	}
	m.result.mu.Lock()
	defer m.result.mu.Unlock()
	m.result.runs++
	return nil
}

// write writes a run: its tokens, which are numbers from 1, and its end. It closes started after the
// first token.
func (m *measurement) write(ctx context.Context, producer *redis.Conn, stream string, started chan<- struct{}) error {
	pace := time.NewTicker(time.Duration(float64(time.Second) / m.command.Rate))
	defer pace.Stop()
	for i := 1; i <= m.command.Tokens; i++ {
		if err := producer.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{"data", i}}).Err(); err != nil {
			return err
		}
		if i == 1 {
			close(started)
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return producer.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{"event", endEvent, "data", m.command.Tokens}}).Err()
}

// add adds what a viewer received. Only the joins of late viewers are recorded, because a viewer that
// joins at the start waits for the producer.
func (r *result) add(v *viewer, late bool, name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.viewers++
	r.drops += v.drops
	r.tokens += v.received
	if late && v.received > 0 {
		_ = r.joins.RecordValue(min(v.join, maxJoin).Microseconds()) // it is in range
	}
	if err != nil {
		r.violations = append(r.violations, fmt.Errorf("%s, after %d tokens and %d drops: %w", name, v.received, v.drops, err))
	}
}
