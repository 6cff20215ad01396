package redis_test

import (
	"context"
	"log/slog"
	"os"
	"testing"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLog(slog.New(slog.DiscardHandler))
	os.Exit(redistest.Run(m))
}

func parseTopic(t *testing.T, text string) event.Topic {
	t.Helper()
	topic, err := event.ParseTopic(text)
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

// channelNamed returns the topic of one literal channel.
func channelNamed(name string) event.Topic {
	return event.Literal(event.Channel, name)
}

func publish(t *testing.T, src source.Source, name, data string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	if _, err := src.Publish(ctx, channelNamed(name), text(data)); err != nil {
		t.Errorf("Publish: %v", err)
	}
}

func text(data string) source.Message {
	return source.Message{Data: []byte(data)}
}

// published reports whether a publish succeeded.
func published(t *testing.T, src source.Source, name, data string) bool {
	t.Helper()
	_, err := src.Publish(t.Context(), channelNamed(name), text(data))
	return err == nil
}
