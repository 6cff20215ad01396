package source

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/source/redis/tracking"
)

// Redis is the [Source] for a Redis server, for the master among servers that Sentinel
// watches, or for a cluster. It keeps one Pub/Sub connection to each master for channels,
// three connections that track keys, one blocking reader for the streams of a single server, and a pool
// for commands.
type Redis struct {
	*Publisher
	reader   streamReader
	router   *router
	channels *channels
	streams  streamFollower
	keys     *keys
	tracker  *tracking.Tracker
	cluster  *cluster // nil unless it is one

	reconnects atomic.Int64
}

// streamFollower follows streams; how depends on the kind of Redis.
type streamFollower interface {
	follow(topic event.Topic, sink Sink) Following
	close()
}

// OpenRedis returns a source for the Redis that options describe, and begins to connect.
// It succeeds while Redis is away: topics become live when it is there. node names this
// process among all that use the same Redis.
func OpenRedis(options *Options, node string, fill Fill, log *slog.Logger) *Redis {
	r := &Redis{Publisher: OpenPublisher(options)}
	r.reader = streamReader{r.client, fill}
	switch client := r.client.(type) {
	case *redis.Client:
		r.openServer(client, options, node, log)
	case *redis.ClusterClient:
		r.openCluster(client, options, node, log)
	}
	return r
}

func (r *Redis) openServer(client *redis.Client, options *Options, node string, log *slog.Logger) {
	ordinals := new(atomic.Uint64)
	r.router = newRouter(func(server) *pubsub {
		p := newPubsub(client, marksChannel, node, ordinals, &r.reconnects, func() {}, options.Lag, log)
		p.start()
		return p
	})
	r.channels = newChannels(r.router, false)
	r.streams = newStreams(r.reader, &blockingNews{client: client}, log)
	r.tracker = r.newTracker(node, func(string) *redis.Options { return client.Options() }, func() {}, log)
	r.tracker.SetMasters([]tracking.Master{{}}, func(string) (string, bool) { return "", true })
	r.keys = newKeys(client, r.tracker, log)
	r.router.apply(context.Background(), layout{servers: []server{{}}})
}

func (r *Redis) openCluster(client *redis.ClusterClient, options *Options, node string, log *slog.Logger) {
	ordinals := new(atomic.Uint64)
	r.router = newRouter(func(s server) *pubsub {
		own := options.openNode(s.addr)
		p := newPubsub(own, marksChannel+":"+s.id, node, ordinals, &r.reconnects, r.cluster.doubt, options.Lag, log.With("server", s.addr))
		p.release, p.openNode = own.Close, options.openNode
		p.start()
		return p
	})
	r.channels = newChannels(r.router, true)
	r.cluster = newCluster(client, func(ctx context.Context, l layout) {
		r.router.apply(ctx, l)
		r.tracker.SetMasters(l.masters())
	}, r.router.missing, log)
	r.tracker = r.newTracker(node, options.connection, r.cluster.doubt, log)
	r.streams = newClusterStreams(r.reader, r.tracker, log)
	r.keys = newKeys(client, r.tracker, log)
	r.cluster.start()
}

func (r *Redis) newTracker(node string, connection func(addr string) *redis.Options, refresh func(), log *slog.Logger) *tracking.Tracker {
	return tracking.New(tracking.Options{
		Node: node, ProbePrefix: internalPrefix + "tracking:", Connection: connection,
		Reconnected: func() { r.reconnects.Add(1) }, Refresh: refresh, Log: log,
	})
}

// Follow implements [Source].
func (r *Redis) Follow(topic event.Topic, sink Sink) Following {
	switch topic.Kind {
	case event.Stream:
		return r.streams.follow(topic, sink)
	case event.Key:
		return r.keys.follow(topic, sink)
	default:
		return r.channels.follow(topic, sink)
	}
}

// Sync implements [Source].
func (r *Redis) Sync(ctx context.Context, topic event.Topic) error {
	switch topic.Kind {
	case event.Stream:
		return nil
	case event.Key:
		if topic.IsGlob() {
			if err := r.tracker.Sync(ctx); err != nil {
				return trackingError(err)
			}
		}
		return r.keys.sync(ctx, topic)
	default:
		return r.router.sync(ctx)
	}
}

// Mark implements [Source].
func (r *Redis) Mark(topic event.Topic) *Mark {
	if f := r.channels.of(topic); f != nil {
		return f.mark()
	}
	return nil
}

// FindMark implements [Source].
func (r *Redis) FindMark(topic event.Topic, token string) *Mark {
	if f := r.channels.of(topic); f != nil {
		return f.findMark(token)
	}
	return nil
}

// Range implements [Source].
func (r *Redis) Range(ctx context.Context, topic event.Topic, q Range) (Page, error) {
	page, err := r.reader.page(ctx, topic.Name(), q)
	if err != nil && !isRefusal(err) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return page, err
}

// Ready implements [Source].
func (r *Redis) Ready(ctx context.Context) error {
	return r.router.ready(ctx)
}

// Reconnects implements [Source].
func (r *Redis) Reconnects() int64 {
	return r.reconnects.Load()
}

// Close implements [Source].
func (r *Redis) Close() error {
	if r.cluster != nil {
		r.cluster.close()
	}
	r.router.close()
	err := r.Publisher.Close() // ends the reads that the others wait for
	r.streams.close()
	r.tracker.Close()
	r.keys.close()
	return err
}
