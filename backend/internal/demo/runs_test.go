package demo

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"sluice/internal/event"
	"sluice/internal/source"
)

func TestPublishRun_WritesTheTextAndItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		var latest string
		ended := false
		publish := func(_ context.Context, topic event.Topic, m source.Message) (event.StreamID, error) {
			switch {
			case topic == latestRun:
				latest = string(m.Data)
			case topic.String() != "stream:run:1" || m.TTL != runTTL || ended:
				t.Errorf("%s gets %+v", topic, m)
			case m.Type == event.StreamEnd:
				ended = true
			default:
				text.Write(m.Data)
			}
			return event.StreamID{}, nil
		}
		if err := publishRun(t.Context(), publish, "run:1", answers[0]); err != nil {
			t.Fatal(err)
		}
		if text.String() != answers[0] || !ended || latest != "stream:run:1" {
			t.Errorf("the text is %q, ended is %v, the key of the newest run is %q", text.String(), ended, latest)
		}
	})
}
