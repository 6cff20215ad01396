// Package redis follows topics in Redis and publishes to it: a single server, the master among
// servers that Sentinel watches, or a cluster.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis/pubsub"
	"sluice/internal/source/redis/tracking"
)

// Source is the [source.Source] for a Redis server, for the master among servers that Sentinel
// watches, or for a cluster. To each master it has one Pub/Sub connection for channels, three
// connections that track keys, and two pools for commands. One more connection waits for the
// streams of a single server.
type Source struct {
	*Publisher
	reader   streamReader
	channels channels
	streams  streamFollower
	keys     *keys
	tracker  *tracking.Tracker

	reconnects atomic.Int64
}

// streamFollower follows streams; how depends on the kind of Redis.
type streamFollower interface {
	follow(topic event.Topic, sink source.Sink) source.Following
	close()
}

// Open returns a source for the Redis that options describe, and begins to connect.
// It succeeds while Redis is unavailable; topics become live when Redis can be reached. node
// names this process among all that use the same Redis.
func Open(options *Options, node string, fill source.Fill, log *slog.Logger) *Source {
	r := &Source{Publisher: OpenPublisher(options)}
	r.reader = streamReader{client: r.client, limited: options.open(maxReply), state: newStateReader(), fill: fill}
	routing := pubsub.Options{Prefix: source.InternalPrefix, Reconnects: &r.reconnects, Lag: options.Lag, Log: log}
	track := tracking.Options{
		ProbePrefix: source.InternalPrefix + "tracking:" + node + ":", Connection: options.connection,
		Reconnects: &r.reconnects, Refresh: func() { r.channels.router.RefreshTopology() }, Log: log,
	}
	switch client := r.client.(type) {
	case *redis.Client:
		r.streams = newStreams(r.reader, &blockingNews{client: client, limited: r.reader.limited.(*redis.Client)}, log)
		track.Connection, track.Refresh = func(string) *redis.Options { return client.Options() }, func() {}
		r.tracker = tracking.New(track)
		r.tracker.SetMasters([]tracking.Master{{}}, func(string) (string, bool) { return "", true })
		routing.Client = client
	case *redis.ClusterClient:
		r.tracker = tracking.New(track)
		r.streams = &clusterStreams{reader: r.reader, tracker: r.tracker, log: log, readers: make(map[*streams]struct{})}
		r.channels.sharded = true
		routing.Cluster, routing.OpenNode, routing.Seeds = client, options.openNode, options.addresses()
		routing.Topology = func(t pubsub.Topology) {
			var masters []tracking.Master
			for _, m := range t.Masters() {
				masters = append(masters, tracking.Master(m))
			}
			r.tracker.SetMasters(masters, t.Owner)
		}
	}
	r.keys = newKeys(r.client, r.tracker, options.KeyUnreadable, log)
	r.channels.router = pubsub.New(routing)
	r.channels.router.Start()
	return r
}

// Follow implements [source.Source].
func (r *Source) Follow(topic event.Topic, sink source.Sink) source.Following {
	switch topic.Kind {
	case event.Stream:
		return r.streams.follow(topic, sink)
	case event.Key:
		return r.keys.follow(topic, sink)
	default:
		return r.channels.follow(topic, sink)
	}
}

// Range implements [source.Source].
func (r *Source) Range(ctx context.Context, topic event.Topic, q source.Range) (source.Page, error) {
	page, err := r.reader.sizedPage(ctx, topic.Name(), q, new(pageSize))
	if err != nil && !isRefusal(err) {
		err = fmt.Errorf("%w: %w", source.ErrUnavailable, err)
	}
	return page, err
}

// Ready implements [source.Source].
func (r *Source) Ready(ctx context.Context) (unserved string, err error) {
	unserved, err = r.channels.router.Ready(ctx)
	return unserved, sourceError(err)
}

// Reconnects implements [source.Source].
func (r *Source) Reconnects() int64 {
	return r.reconnects.Load()
}

// Close implements [source.Source].
func (r *Source) Close() error {
	r.channels.router.Close()
	err := errors.Join(r.Publisher.Close(), r.reader.limited.Close()) // ends the reads that the others wait for
	r.streams.close()
	r.tracker.Close()
	r.keys.close()
	return err
}

// signal wakes the receiver of a channel that holds one signal.
func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default: // it is awake
	}
}

// await blocks until a channel is closed, or until the context ends.
func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
