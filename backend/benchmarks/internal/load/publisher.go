package load

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// Publisher publishes numbered messages to channels of a Redis, in turn.
type Publisher struct {
	client   *redis.Client
	channels []string
	size     int
	sent     int64
}

// NewPublisher returns a publisher of messages of at least size bytes.
func NewPublisher(redisURL string, channels []string, size int) (*Publisher, error) {
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		return nil, err
	}
	options.MaxRetries = -1 // a retry could publish a message twice
	return &Publisher{client: redis.NewClient(options), channels: channels, size: size}, nil
}

// Close closes the connections to Redis.
func (p *Publisher) Close() error {
	return p.client.Close()
}

// errBehind is returned by Publish if it cannot publish at the rate.
var errBehind = errors.New("publishing took longer than planned")

// IsBehind reports whether an error of Publish means that Redis or the publisher was too slow.
func IsBehind(err error) bool { return errors.Is(err, errBehind) }

// tooLong is the factor by which publishing may exceed the planned time, plus one second.
const tooLong = 1.1

// Publish publishes for a time at a constant rate in messages per second, and returns how many it
// published. It sends messages that are due at the same time in one round trip.
func (p *Publisher) Publish(ctx context.Context, rate float64, d time.Duration) (int64, error) {
	total := max(1, int64(rate*d.Seconds()))
	every := float64(time.Second) / rate
	start := time.Now()
	limit := time.Duration(tooLong*float64(d)) + time.Second
	for sent := int64(0); sent < total; {
		due := min(total, int64(float64(time.Since(start))/every)+1)
		if err := p.send(ctx, due-sent); err != nil {
			return sent, err
		}
		sent = due
		if time.Since(start) > limit {
			return sent, errBehind
		}
		next := start.Add(time.Duration(float64(sent) * every))
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			return sent, ctx.Err()
		}
	}
	return total, nil
}

// send publishes n messages in one round trip.
func (p *Publisher) send(ctx context.Context, n int64) error {
	if n == 0 {
		return nil
	}
	_, err := p.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for range n {
			channel := p.channels[p.sent%int64(len(p.channels))]
			number := 1 + p.sent/int64(len(p.channels))
			p.sent++
			pipe.Publish(ctx, channel, newMessage(number, time.Now(), p.size))
		}
		return nil
	})
	return err
}
