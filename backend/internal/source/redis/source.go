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
	limited := options.open()
	limitReplies(limited, maxReply)
	r.reader = streamReader{client: r.client, limited: limited, state: newStateReader(), fill: fill}
	switch client := r.client.(type) {
	case *redis.Client:
		r.openServer(client, options, node, log)
	case *redis.ClusterClient:
		r.openCluster(client, options, node, log)
	}
	return r
}

func (r *Source) openServer(client *redis.Client, options *Options, node string, log *slog.Logger) {
	r.streams = newStreams(r.reader, &blockingNews{client: client, limited: r.reader.limited.(*redis.Client)}, log)
	r.tracker = r.newTracker(node, func(string) *redis.Options { return client.Options() }, func() {}, log)
	r.tracker.SetMasters([]tracking.Master{{}}, func(string) (string, bool) { return "", true })
	r.keys = newKeys(client, r.tracker, options.KeyUnreadable, log)
	r.channels.router = pubsub.New(pubsub.Options{
		Client: client, Prefix: source.InternalPrefix, Reconnects: &r.reconnects, Lag: options.Lag, Log: log,
	})
}

func (r *Source) openCluster(client *redis.ClusterClient, options *Options, node string, log *slog.Logger) {
	r.tracker = r.newTracker(node, options.connection, func() { r.channels.router.RefreshTopology() }, log)
	r.streams = newClusterStreams(r.reader, r.tracker, log)
	r.keys = newKeys(client, r.tracker, options.KeyUnreadable, log)
	r.channels.sharded = true
	r.channels.router = pubsub.New(pubsub.Options{
		Cluster: client, OpenNode: options.openNode, Seeds: options.addresses(),
		Prefix: source.InternalPrefix, Reconnects: &r.reconnects, Lag: options.Lag, Log: log,
		Topology: func(t pubsub.Topology) {
			var masters []tracking.Master
			for _, m := range t.Masters() {
				masters = append(masters, tracking.Master(m))
			}
			r.tracker.SetMasters(masters, t.Owner)
		},
	})
}

func (r *Source) newTracker(node string, connection func(addr string) *redis.Options, refresh func(), log *slog.Logger) *tracking.Tracker {
	return tracking.New(tracking.Options{
		ProbePrefix: source.InternalPrefix + "tracking:" + node + ":", Connection: connection,
		Reconnects: &r.reconnects, Refresh: refresh, Log: log,
	})
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
	size := pageSize(q.Count)
	page, err := r.reader.sizedPage(ctx, topic.Name(), q, &size)
	if err != nil && !isRefusal(err) {
		err = fmt.Errorf("%w: %w", source.ErrUnavailable, err)
	}
	return page, err
}

// Ready implements [source.Source].
func (r *Source) Ready(ctx context.Context) (unserved string, err error) {
	unserved, err = r.channels.router.Ready(ctx)
	return unserved, channelError(err)
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
