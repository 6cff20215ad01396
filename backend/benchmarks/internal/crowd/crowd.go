// Package crowd measures the CPU time and memory for very many idle subscribers. The number of
// connections of a process is limited, so it starts several servers and several client processes.
package crowd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"sluice/benchmarks/internal/load"
	"sluice/benchmarks/internal/rig"
)

// Command is the command line of the measurement.
type Command struct {
	Command     string        `arg:"" help:"Shell command that starts a server."`
	RedisURL    string        `placeholder:"URL" help:"Redis to publish to. Without it, a Redis is started."`
	Subscribers int           `default:"150000" help:"Number of subscribers."`
	Servers     int           `default:"9" help:"Number of server processes, and of client processes."`
	Heartbeat   time.Duration `default:"15s" help:"Time between heartbeats."`
	Time        time.Duration `default:"1m" help:"Time for which idle subscribers are measured."`
	Settle      time.Duration `default:"5s" help:"Pause before each measurement of the memory of the servers."`
	Size        int           `default:"200" help:"Minimum size of the message in bytes."`
}

// Validate implements kong's hook.
func (c *Command) Validate() error {
	switch {
	case c.Servers < 1 || c.Subscribers < c.Servers:
		return errors.New("--servers must be at least 1, and --subscribers at least as many")
	case c.Heartbeat <= 0 || c.Time <= 0 || c.Settle < 0:
		return errors.New("--heartbeat and --time must be more than 0, and --settle at least 0")
	}
	return nil
}

// arrival bounds the time until all subscribers have received the message.
const arrival = time.Minute

// crowd holds the server and client processes of one measurement.
type crowd struct {
	command Command
	servers []*rig.Server
	members []*members
}

// result is the result of a measurement. Sizes are differences to the state without subscribers, in
// bytes.
type result struct {
	opened        time.Duration // time to open all connections
	rss           int64         // memory of all servers
	slab, tcp     int64         // kernel memory of the whole machine, with both ends of the connections
	heartbeatCPU  time.Duration
	pings         int64
	watched       time.Duration // time for which heartbeats were measured
	last          time.Duration // time until the last subscriber received the message
	messages, cut int64         // messages received, connections lost
	messageCPU    time.Duration
}

// Run measures. It prints the result to out, and progress messages to progress.
func (c *Command) Run(ctx context.Context, out, progress io.Writer) error {
	redisURL := c.RedisURL
	if redisURL == "" {
		redis, url, err := rig.StartRedis(ctx)
		if err != nil {
			return err
		}
		defer redis.Stop()
		redisURL = url
	}
	crowd := &crowd{command: *c}
	defer crowd.close()
	if err := crowd.start(ctx, redisURL, progress); err != nil {
		return err
	}
	r, err := crowd.measure(ctx, redisURL, progress)
	if err != nil {
		return err
	}
	return r.print(out, c.Subscribers)
}

// start starts the server processes and the client processes.
func (c *crowd) start(ctx context.Context, redisURL string, progress io.Writer) error {
	fmt.Fprintf(progress, "starting %d servers\n", c.command.Servers)
	for i := range c.command.Servers {
		server, err := rig.StartServer(ctx, fmt.Sprintf("server %d", i+1), c.command.Command, redisURL,
			"SLUICE_HEARTBEAT="+c.command.Heartbeat.String())
		if err != nil {
			return err
		}
		c.servers = append(c.servers, server)
		share := c.command.Subscribers/c.command.Servers + min(1, max(0, c.command.Subscribers%c.command.Servers-i))
		m, err := startMembers(ctx, server.Events(rig.Channel), share)
		if err != nil {
			return err
		}
		c.members = append(c.members, m)
	}
	return rig.Sleep(ctx, c.command.Settle)
}

func (c *crowd) close() {
	for _, m := range c.members {
		m.stop()
	}
	for _, s := range c.servers {
		s.Stop()
	}
}

func (c *crowd) measure(ctx context.Context, redisURL string, progress io.Writer) (r result, err error) {
	empty, err := c.usage()
	if err != nil {
		return r, err
	}
	slab, tcp, err := rig.KernelMemory()
	if err != nil {
		return r, err
	}
	fmt.Fprintf(progress, "opening %s connections\n", humanize.Comma(int64(c.command.Subscribers)))
	start := time.Now()
	if err := c.each(func(m *members) error { return m.open() }); err != nil {
		return r, err
	}
	r.opened = time.Since(start)
	if err := rig.Sleep(ctx, c.command.Settle); err != nil {
		return r, err
	}
	idle, err := c.usage()
	if err != nil {
		return r, err
	}
	slabFull, tcpFull, err := rig.KernelMemory()
	if err != nil {
		return r, err
	}
	r.rss, r.slab, r.tcp = growth(empty.RSS, idle.RSS), growth(slab, slabFull), growth(tcp, tcpFull)
	if err := c.watch(ctx, &r, idle, progress); err != nil {
		return r, err
	}
	return r, c.deliver(ctx, &r, redisURL, progress)
}

// growth returns the difference in bytes, which may be negative.
func growth(before, after uint64) int64 {
	return int64(after) - int64(before)
}

// watch measures the CPU time of heartbeats.
func (c *crowd) watch(ctx context.Context, r *result, before rig.Usage, progress io.Writer) error {
	fmt.Fprintf(progress, "idle for %s\n", c.command.Time)
	if _, err := c.collect(0); err != nil {
		return err
	}
	if err := rig.Sleep(ctx, c.command.Time); err != nil {
		return err
	}
	after, err := c.usage()
	if err != nil {
		return err
	}
	report, err := c.collect(0)
	r.heartbeatCPU, r.watched, r.pings, r.cut = after.CPU-before.CPU, c.command.Time, report.Pings, report.Gone
	return err
}

// deliver measures the delivery of one message to all subscribers.
func (c *crowd) deliver(ctx context.Context, r *result, redisURL string, progress io.Writer) error {
	fmt.Fprintln(progress, "one message to all")
	publisher, err := load.NewPublisher(redisURL, []string{rig.Channel}, c.command.Size)
	if err != nil {
		return err
	}
	defer publisher.Close()
	before, err := c.usage()
	if err != nil {
		return err
	}
	if _, err := publisher.Publish(ctx, 1, time.Second); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	report, err := c.collect(arrival)
	if err != nil {
		return err
	}
	after, err := c.usage()
	r.messages, r.last, r.messageCPU = report.Messages, report.Slowest, after.CPU-before.CPU
	return err
}

// usage returns the sum of the usage of all servers.
func (c *crowd) usage() (sum rig.Usage, err error) {
	for _, s := range c.servers {
		u, err := s.Usage()
		if err != nil {
			return rig.Usage{}, err
		}
		sum.CPU += u.CPU
		sum.RSS += u.RSS
	}
	return sum, nil
}

func (r *result) print(w io.Writer, subscribers int) error {
	each := func(bytes int64) string {
		return fmt.Sprintf("%s, %.2f KB each", signed(bytes), float64(bytes)/1024/float64(subscribers))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "subscribers\t%s, opened in %.1f s, %d lost\n", humanize.Comma(int64(subscribers)), r.opened.Seconds(), r.cut)
	fmt.Fprintf(t, "servers' memory\t%s\n", each(r.rss))
	fmt.Fprintf(t, "kernel's objects\t%s (both ends)\n", each(r.slab))
	fmt.Fprintf(t, "buffers of TCP\t%s (change on the whole machine)\n", each(r.tcp))
	fmt.Fprintf(t, "heartbeats\t%s in %s, %.1f s of CPU: %.1f %% of a processor, %.1f µs each\n", humanize.Comma(r.pings), r.watched,
		r.heartbeatCPU.Seconds(), 100*r.heartbeatCPU.Seconds()/r.watched.Seconds(), float64(r.heartbeatCPU.Microseconds())/float64(max(r.pings, 1)))
	fmt.Fprintf(t, "one message\t%s received it, the last after %.2f s, %.1f µs of CPU each\n", humanize.Comma(r.messages), r.last.Seconds(),
		float64(r.messageCPU.Microseconds())/float64(max(r.messages, 1)))
	return t.Flush()
}

// signed formats a number of bytes, which may be negative.
func signed(bytes int64) string {
	if bytes < 0 {
		return "-" + humanize.IBytes(uint64(-bytes))
	}
	return humanize.IBytes(uint64(bytes))
}
