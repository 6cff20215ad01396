package compare

import (
	"context"
	"fmt"
	"time"

	"sluice/benchmarks/internal/load"
	"sluice/benchmarks/internal/rig"
)

// patience is how long no message may come before those that lack count as lost.
const patience = 5 * time.Second

// session is one server with the connections and the publisher that put it under load.
type session struct {
	server    *rig.Server
	readers   *load.Readers
	publisher *load.Publisher
	targets   []load.Target // one for each channel
	settle    time.Duration // how long the server is left alone after much work
	idle      float64       // what a connection takes in the server's memory, in bytes
}

// open starts a server and opens the connections, spread over the channels.
func (c *conditions) open(ctx context.Context, contender Contender, channels []string, subscribers int) (*session, error) {
	server, err := rig.StartServer(ctx, contender.Name, contender.Command, c.RedisURL)
	if err != nil {
		return nil, err
	}
	s := &session{server: server, settle: c.Settle}
	if err := s.open(ctx, c.RedisURL, channels, subscribers, c.Size); err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w", contender.Name, err)
	}
	return s, nil
}

func (s *session) open(ctx context.Context, redisURL string, channels []string, subscribers, size int) (err error) {
	for _, channel := range channels {
		target, err := load.NewTarget(s.server.Events(channel))
		if err != nil {
			return err
		}
		s.targets = append(s.targets, target)
	}
	if s.publisher, err = load.NewPublisher(redisURL, channels, size); err != nil {
		return err
	}
	if s.readers, err = load.NewReaders(); err != nil {
		return err
	}
	time.Sleep(s.settle)
	before, err := s.server.Usage()
	if err != nil {
		return err
	}
	if err := s.fill(ctx, subscribers); err != nil {
		return err
	}
	time.Sleep(s.settle)
	after, err := s.server.Usage()
	if err != nil {
		return err
	}
	s.idle = (float64(after.RSS) - float64(before.RSS)) / float64(subscribers)
	return nil
}

// fill opens connections until there are that many.
func (s *session) fill(ctx context.Context, subscribers int) error {
	return s.readers.Open(ctx, subscribers-s.readers.Count(), func(i int) load.Target { return s.targets[i%len(s.targets)] })
}

func (s *session) close() {
	s.server.Stop()
	if s.readers != nil {
		s.readers.Close()
	}
	if s.publisher != nil {
		s.publisher.Close()
	}
}

// phase is what a load that lasted a while came to.
type phase struct {
	perEvent time.Duration // of the server's CPU time for each message delivered
	expected int64
	tally    load.Tally
	behind   bool // the messages could not be published at that rate
}

// p99 returns how long at most 99 of 100 messages took.
func (p *phase) p99() time.Duration {
	return time.Duration(p.tally.Latency.ValueAtQuantile(99)) * time.Microsecond
}

// complete returns an error if a message was lost, or was not where it should be.
func (p *phase) complete() error {
	switch {
	case p.behind:
		return fmt.Errorf("the messages could not be published at that rate")
	case p.tally.Gone > 0:
		return fmt.Errorf("%d connections were lost", p.tally.Gone)
	case p.tally.Messages != p.expected || p.tally.Wrong > 0:
		return fmt.Errorf("%d messages came, %d of them not in turn, and %d should have", p.tally.Messages, p.tally.Wrong, p.expected)
	}
	return nil
}

// run publishes at a rate, all channels together, and waits until everything has come or
// nothing comes any more.
func (s *session) run(ctx context.Context, rate float64, d time.Duration) (phase, error) {
	before, err := s.server.Usage()
	if err != nil {
		return phase{}, err
	}
	s.readers.Reset()
	connections := s.readers.Count()
	sent, err := s.publisher.Publish(ctx, rate, d)
	p := phase{behind: load.IsBehind(err)}
	if err != nil && !p.behind {
		return phase{}, fmt.Errorf("publishing: %w", err)
	}
	p.expected = sent * int64(connections) / int64(len(s.targets))
	s.readers.Await(p.expected, patience)
	after, err := s.server.Usage()
	if err != nil {
		return phase{}, err
	}
	p.tally = s.readers.Reset()
	if p.tally.Messages > 0 {
		p.perEvent = (after.CPU - before.CPU) / time.Duration(p.tally.Messages)
	}
	return p, nil
}
