package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"sluice/internal/event"
)

// Redis is the [Source] for a Redis server. It keeps one Pub/Sub connection for all
// topics, and a small pool for commands.
type Redis struct {
	Publisher
	pubsub *pubsub
}

// Publisher writes to a Redis server, and follows nothing.
type Publisher struct {
	client *redis.Client
}

// ParseRedisURL reads redis://, rediss:// and unix:// addresses.
func ParseRedisURL(address string) (*redis.Options, error) {
	options, err := redis.ParseURL(address)
	if err != nil {
		// The parser's own errors can quote the whole address, password included.
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("not a Redis address such as redis://127.0.0.1:6379: %w", err)
	}
	// A command that may have been carried out must not be sent again: what was
	// published once would arrive twice.
	options.MaxRetries = -1
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return options, nil
}

// OpenRedis returns a source for the server that options describe, and begins to
// connect. It succeeds while Redis is away: topics become live when it is there.
// node names this process among all that use the same Redis.
func OpenRedis(options *redis.Options, node string, log *slog.Logger) *Redis {
	p := OpenPublisher(options)
	return &Redis{*p, newPubsub(options, p.client, node, log)}
}

// OpenPublisher returns a publisher to the server that options describe. It connects
// when there is something to publish.
func OpenPublisher(options *redis.Options) *Publisher {
	return &Publisher{redis.NewClient(options)}
}

// Publish implements [Source].
func (p *Publisher) Publish(ctx context.Context, topic event.Topic, data []byte) error {
	if err := p.client.Publish(ctx, topic.Name(), data).Err(); err != nil {
		return fmt.Errorf("%w: PUBLISH: %w", ErrUnavailable, err)
	}
	return nil
}

// Close gives up the connections.
func (p *Publisher) Close() error {
	return p.client.Close()
}

// Follow implements [Source].
func (r *Redis) Follow(topic event.Topic, sink Sink) Following {
	return r.pubsub.follow(topic, sink)
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
	return r.Publisher.Close()
}
