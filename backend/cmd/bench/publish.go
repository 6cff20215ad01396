package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"sluice/internal/audit"
	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
)

// publishTimeout bounds how long a publish over HTTP may take.
const publishTimeout = 10 * time.Second

// newPublish returns the function that publishes, and done, which closes its connections.
func newPublish(f flags) (publish audit.Publish, done func(), err error) {
	if f.PublishHTTP {
		return publishHTTP(f.Targets), func() {}, nil
	}
	options, err := redis.Configure(f.RedisURL, f.RedisCA)
	if err != nil {
		return nil, nil, err
	}
	publisher := redis.OpenPublisher(options)
	publish = func(ctx context.Context, topic event.Topic, data []byte) error {
		_, err := publisher.Publish(ctx, topic, source.Message{Data: data, MaxLen: source.DefaultMaxLen})
		return err
	}
	return publish, func() { publisher.Close() }, nil
}

// publishHTTP publishes over HTTP, to each target in turn.
func publishHTTP(targets []string) audit.Publish {
	client := &http.Client{Timeout: publishTimeout}
	var next atomic.Uint64
	return func(ctx context.Context, topic event.Topic, data []byte) error {
		target := targets[next.Add(1)%uint64(len(targets))]
		query := url.Values{topic.Kind.String(): {topic.Pattern}}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL(target)+eventsPath+"?"+query.Encode(), bytes.NewReader(data))
		if err != nil {
			return err
		}
		// Without GetBody, the transport does not retry a request whose connection broke.
		request.GetBody = nil
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("server responded with %s: %s", response.Status, bytes.TrimSpace(answer))
		}
		return err
	}
}
