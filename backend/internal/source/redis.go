package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"sluice/internal/event"
)

// Redis is the [Source] for a Redis server. It keeps one Pub/Sub connection for all
// channels and keys, one blocking reader for all streams, and a pool for commands.
type Redis struct {
	*Publisher
	pubsub  *pubsub
	streams *streams
	keys    *keys
}

// ParseRedisURL reads redis://, rediss:// and unix:// addresses.
func ParseRedisURL(address string) (*redis.Options, error) {
	options, err := redis.ParseURL(address)
	if err != nil {
		// The parser's own errors can quote any part of the address, the password included.
		return nil, errors.New("not a Redis address such as redis://:password@127.0.0.1:6379/0; check the scheme, the port and the database, and that special characters in the password are percent-encoded")
	}
	// A command that may have been carried out must not be sent again: what was
	// published once would arrive twice.
	options.MaxRetries = -1
	options.DialerRetries = 1 // whoever waits is told at once; the loops here try again
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return options, nil
}

// OpenRedis returns a source for the server that options describe, and begins to
// connect. It succeeds while Redis is away: topics become live when it is there.
// node names this process among all that use the same Redis.
func OpenRedis(options *redis.Options, node string, fill Fill, log *slog.Logger) *Redis {
	r := &Redis{Publisher: OpenPublisher(options)}
	r.pubsub = newPubsub(options, r.client, node, log)
	r.streams = newStreams(r.client, fill, log)
	r.keys = newKeys(r.client, r.pubsub, options.DB, log)
	r.pubsub.start(r.keys.enableNotifications)
	return r
}

// Follow implements [Source].
func (r *Redis) Follow(topic event.Topic, sink Sink) Following {
	switch topic.Kind {
	case event.Stream:
		return r.streams.follow(topic, sink)
	case event.Key:
		return r.keys.follow(topic, sink)
	default:
		return r.pubsub.follow(topic, sink)
	}
}

// Sync implements [Source].
func (r *Redis) Sync(ctx context.Context, topic event.Topic) error {
	switch topic.Kind {
	case event.Stream:
		return nil
	case event.Key:
		return r.keys.sync(ctx, topic)
	default:
		return r.pubsub.probe.sync(ctx)
	}
}

// Mark implements [Source].
func (r *Redis) Mark() *Mark {
	return r.pubsub.Mark()
}

// FindMark implements [Source].
func (r *Redis) FindMark(token string) *Mark {
	return r.pubsub.FindMark(token)
}

// Range implements [Source].
func (r *Redis) Range(ctx context.Context, topic event.Topic, q Range) (Page, error) {
	page, err := r.streams.page(ctx, topic.Name(), q)
	if err != nil && !isWrongType(err) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return page, err
}

// Ready implements [Source].
func (r *Redis) Ready(ctx context.Context) error {
	if err := r.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("%w: PING: %w", ErrUnavailable, err)
	}
	return r.pubsub.ready()
}

// Close implements [Source].
func (r *Redis) Close() error {
	r.pubsub.close()
	err := r.Publisher.Close() // ends the reads that the others wait for
	r.streams.close()
	r.keys.close()
	return err
}
