package hub_test

import (
	"context"
	"errors"
	"testing"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/source"
)

// laggingSource is a source of a stream whose newest entry it cannot deliver.
type laggingSource struct{ *fakeSource }

type laggingFollowing struct{ source.Following }

func (s laggingSource) Follow(topic event.Topic, sink source.Sink) source.Following {
	return laggingFollowing{s.fakeSource.Follow(topic, sink)}
}

func (laggingSource) Range(context.Context, event.Topic, source.Range) (source.Page, error) {
	newest := event.StreamID{Millis: 2}
	return source.Page{
		State:   source.StreamState{Exists: true, Added: 2, Length: 2, First: event.StreamID{Millis: 1}, Last: newest},
		Entries: []source.Entry{{ID: newest, Data: []byte("2")}},
	}, nil
}

func (laggingFollowing) Sync(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// A node that cannot read a stream must not send a client back to its own, older position.
func TestStream_LaggingNodeRejectsClient(t *testing.T) {
	t.Parallel()
	src := newFakeSource()
	src.begin = source.Position{ID: event.StreamID{Millis: 1}, Ordinal: 1}
	g := newGateway(t, laggingSource{src}, history(10))
	if _, err := g.trySubscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"2-0"}}); !errors.Is(err, source.ErrUnavailable) {
		t.Errorf("got error %v, want one of a source that is unavailable", err)
	}
}
