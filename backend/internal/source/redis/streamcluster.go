package redis

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis/tracking"
)

// clusterStreams follows the streams of a cluster with one reader for each: one XREAD cannot name
// streams of different slots, and a server that does not answer must not delay the streams of
// other servers. Key tracking reports new entries. Without it, the readers poll.
type clusterStreams struct {
	reader  streamReader
	tracker *tracking.Tracker
	log     *slog.Logger

	mu      sync.Mutex
	readers map[*streams]struct{}
	closing sync.WaitGroup
}

func (c *clusterStreams) follow(topic event.Topic, sink source.Sink) source.Following {
	news := &trackedNews{owner: c, written: make(chan struct{}, 1)}
	news.watch = c.tracker.WatchKey(topic.Name(), news)
	reader := newStreams(c.reader, news, c.log.With("stream", topic.Name()))
	c.mu.Lock()
	c.readers[reader] = struct{}{}
	c.mu.Unlock()
	return &clusterStreamFollowing{Following: reader.follow(topic, sink), owner: c, reader: reader}
}

func (c *clusterStreams) close() {
	c.mu.Lock()
	for reader := range c.readers {
		c.closing.Go(reader.close)
	}
	clear(c.readers)
	c.mu.Unlock()
	c.closing.Wait()
}

// interval returns the interval at which a reader polls. It grows with the number of readers.
func (c *clusterStreams) interval() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(streamBlock, streamBlock*time.Duration(len(c.readers))/streamChecks)
}

type clusterStreamFollowing struct {
	source.Following
	owner  *clusterStreams
	reader *streams
}

func (f *clusterStreamFollowing) Close() {
	f.Following.Close()
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	if _, there := f.owner.readers[f.reader]; there {
		delete(f.owner.readers, f.reader)
		f.owner.closing.Go(f.reader.close) // a read may be in progress
	}
}

// trackedNews is a [tracking.Watcher] that reports new entries of one stream by key tracking. Without tracking, it reports
// news at each interval.
type trackedNews struct {
	owner   *clusterStreams
	watch   *tracking.Watch
	written chan struct{}
}

func (n *trackedNews) wait(ctx context.Context, followed []*streamFollowing, changed <-chan struct{}) ([]*streamFollowing, error) {
	select {
	case <-n.written:
		return followed, nil
	case <-time.After(n.owner.interval()):
	case <-changed:
	case <-ctx.Done():
	}
	return nil, nil
}

func (n *trackedNews) close() {
	n.watch.Close()
}

func (n *trackedNews) All() {
	n.Invalidated("")
}

func (n *trackedNews) Invalidated(string) {
	signal(n.written)
}
