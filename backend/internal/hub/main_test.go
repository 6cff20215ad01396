package hub_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/memory"
	"sluice/internal/test/redistest"
)

func TestMain(m *testing.M) {
	os.Exit(redistest.Run(m))
}

// newHub returns a hub over a new embedded broker.
func newHub(t *testing.T, limits journal.Limits) (*hub.Hub, *memory.Broker) {
	t.Helper()
	broker := memory.New(source.Fill{Events: limits.Events, Bytes: limits.Bytes})
	h := hub.New(broker, hub.Options{Node: "n1", History: limits, Linger: time.Hour}, noMetrics{})
	t.Cleanup(h.Close)
	return h, broker
}

func topics(t testing.TB, texts ...string) []event.Topic {
	t.Helper()
	list := make([]event.Topic, len(texts))
	for i, text := range texts {
		topic, err := event.ParseTopic(text)
		if err != nil {
			t.Fatal(err)
		}
		list[i] = topic
	}
	return list
}

// numbers returns the decimal numbers from first to last.
func numbers(first, last int) []string {
	var out []string
	for n := first; n <= last; n++ {
		out = append(out, fmt.Sprint(n))
	}
	return out
}

// publish publishes events to a topic and returns their ids. It may be called from any goroutine.
func publish(t testing.TB, src source.Source, topic string, data ...string) []string {
	t.Helper()
	parsed, err := event.ParseTopic(topic)
	if err != nil {
		t.Error(err)
		return nil
	}
	var ids []string
	for _, d := range data {
		id, err := src.Publish(context.Background(), parsed, source.Message{Data: []byte(d)})
		if err != nil {
			t.Error(err)
			return ids
		}
		ids = append(ids, id.String())
	}
	return ids
}
