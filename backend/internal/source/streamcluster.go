package source

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sluice/internal/event"
)

// clusterStreams follows each stream of a cluster with a reader of its own: one XREAD
// cannot name streams of different slots, and a server that does not answer must not hold
// up the streams of the others. What is new, key notifications tell; a reader only looks
// by itself where they are missing.
type clusterStreams struct {
	reader streamReader
	router *router
	log    *slog.Logger

	mu      sync.Mutex
	readers map[*streams]struct{}
	closing sync.WaitGroup
}

func newClusterStreams(reader streamReader, router *router, log *slog.Logger) *clusterStreams {
	return &clusterStreams{reader: reader, router: router, log: log, readers: make(map[*streams]struct{})}
}

func (c *clusterStreams) follow(topic event.Topic, sink Sink) Following {
	news := &notifiedNews{owner: c, told: make(chan struct{}, 1)}
	news.route = c.router.route(everywhere, news, subscription{glob, streamNotifications + topic.Pattern})
	news.route.start()
	reader := newStreams(c.reader, news, c.log.With("stream", topic.Name()))
	c.mu.Lock()
	c.readers[reader] = struct{}{}
	c.mu.Unlock()
	return &clusterStreamFollowing{Following: reader.follow(topic, sink), owner: c, reader: reader}
}

func (c *clusterStreams) close() {
	c.mu.Lock()
	readers := c.readers
	c.readers = nil
	c.mu.Unlock()
	for reader := range readers {
		reader.close()
	}
	c.closing.Wait()
}

// interval returns the time after which a reader looks by itself: the more there are, the
// longer.
func (c *clusterStreams) interval() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(streamBlock, streamBlock*time.Duration(len(c.readers))/streamChecks)
}

type clusterStreamFollowing struct {
	Following
	owner  *clusterStreams
	reader *streams
}

// Close implements [Following].
func (f *clusterStreamFollowing) Close() {
	f.Following.Close()
	f.owner.mu.Lock()
	_, there := f.owner.readers[f.reader]
	delete(f.owner.readers, f.reader)
	f.owner.mu.Unlock()
	if there {
		f.owner.closing.Go(f.reader.close) // a read may be under way
	}
}

// notifiedNews has news of one stream by key notifications from all servers, since the
// stream may move. They say nothing of what was written while there was no connection, or
// before; nor need they, since that is looked at when they are there again.
type notifiedNews struct {
	owner *clusterStreams
	route *route
	told  chan struct{}
}

func (n *notifiedNews) wait(ctx context.Context, followed []*streamFollowing, changed <-chan struct{}) ([]*streamFollowing, error) {
	select {
	case <-n.told:
		return followed, nil
	case <-time.After(n.owner.interval()):
	case <-changed:
	case <-ctx.Done():
	}
	return nil, nil
}

func (n *notifiedNews) close() {
	n.route.Close()
}

// confirmed implements [routeReceiver].
func (n *notifiedNews) confirmed(bool, *Mark) {
	n.message("", "")
}

// message implements [routeReceiver].
func (n *notifiedNews) message(string, string) {
	select {
	case n.told <- struct{}{}:
	default: // it will look anyway
	}
}
