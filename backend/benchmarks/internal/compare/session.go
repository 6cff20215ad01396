package compare

import (
	"context"
	"fmt"
	"time"

	"sluice/benchmarks/internal/load"
	"sluice/benchmarks/internal/rig"
)

// patience is the time without a message after which the missing messages count as lost.
const patience = 5 * time.Second

// session is one server with the connections and the publisher that load it.
type session struct {
	server    *rig.Server
	readers   *load.Readers
	publisher *load.Publisher
	targets   []load.Target // one for each list of channels
	channels  int           // number of channels with messages
	settle    time.Duration // pause after work of the server
	idle      float64       // memory of the server for an idle connection, in bytes
}

// open starts a server, opens the connections, spread over the lists of channels, and measures their
// memory. Messages will be published to the channels in published. The caller must call close.
func (c *conditions) open(ctx context.Context, contender Contender, lists [][]string, published []string, subscribers int) (*session, error) {
	server, err := rig.StartServer(ctx, contender.Name, contender.Command, c.RedisURL)
	if err != nil {
		return nil, err
	}
	s := &session{server: server, settle: c.Settle, channels: len(published)}
	if err := s.open(ctx, c.RedisURL, lists, published, subscribers, c.Size); err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w", contender.Name, err)
	}
	return s, nil
}

func (s *session) open(ctx context.Context, redisURL string, lists [][]string, published []string, subscribers, size int) (err error) {
	for _, list := range lists {
		target, err := load.NewTarget(s.server.Events(list...))
		if err != nil {
			return err
		}
		s.targets = append(s.targets, target)
	}
	if s.publisher, err = load.NewPublisher(redisURL, published, size); err != nil {
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

// fill opens connections until their number is subscribers.
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

// phase is the result of one load.
type phase struct {
	perEvent time.Duration // CPU time of the server for each delivered message
	expected int64         // number of messages
	result   load.Result
	behind   bool // the messages could not be published at the rate
}

// p99 returns the 99th percentile of the latency.
func (p *phase) p99() time.Duration {
	return time.Duration(p.result.Latency.ValueAtQuantile(99)) * time.Microsecond
}

// complete returns an error if a message was lost or was out of order.
func (p *phase) complete() error {
	switch {
	case p.behind:
		return fmt.Errorf("the messages could not be published at that rate")
	case p.result.Gone > 0:
		return fmt.Errorf("%d connections were lost", p.result.Gone)
	case p.result.Messages != p.expected || p.result.Wrong > 0:
		return fmt.Errorf("%d messages received, %d of them out of order; %d expected", p.result.Messages, p.result.Wrong, p.expected)
	}
	return nil
}

// run publishes for a time at a rate, the sum of all channels. Then it waits until all messages are
// received, or none is received for the patience.
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
	p.expected = sent * int64(connections) / int64(s.channels)
	s.readers.Await(p.expected, patience)
	after, err := s.server.Usage()
	if err != nil {
		return phase{}, err
	}
	p.result = s.readers.Reset()
	if p.result.Messages > 0 {
		p.perEvent = (after.CPU - before.CPU) / time.Duration(p.result.Messages)
	}
	return p, nil
}
