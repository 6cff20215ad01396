package hub_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/source"
	"sluice/internal/source/marker"
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

// A client resumes with a cursor that a node cannot place, and the node has not received all events of
// the client yet. The client must not get these events again after the gap.
func TestChannel_LaggingNodeReceivesEventsBeforeGap(t *testing.T) {
	t.Parallel()
	mark, nextMark := marker.Marker{Node: "onlynode", Sequence: 1}, marker.Marker{Node: "onlynode", Sequence: 2}
	for _, tt := range []struct {
		name   string
		lost   bool                     // the id of the client is "lost", not that of its newest event
		before func(n *followingMember) // messages to the node before the client resumes
		after  func(n *followingMember) // later messages
	}{
		{"it received the marker before an interruption", false,
			func(n *followingMember) { n.mark(mark); n.disconnect(); n.resume() },
			func(n *followingMember) { n.events("1", "2", "3") }},
		{"it received the first event before an interruption", false,
			func(n *followingMember) { n.mark(mark); n.events("1"); n.disconnect(); n.resume() },
			func(n *followingMember) { n.events("2", "3") }},
		{"its new connection received the marker before it followed the topic", false,
			func(n *followingMember) { n.disconnect(); n.mark(mark); n.resume() },
			func(n *followingMember) { n.events("1", "2", "3") }},
		{"its connection is lost", false,
			func(n *followingMember) { n.disconnect() },
			func(n *followingMember) { n.mark(mark); n.resume(); n.events("2", "3") }},
		{"it began after the marker", false,
			func(n *followingMember) { n.mark(nextMark); n.events("1") },
			func(n *followingMember) { n.events("2", "3") }},
		{"the client lost its connection before a gap", true,
			func(n *followingMember) { n.events("1") },
			func(n *followingMember) { n.events("2", "3") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ahead, lagging := newFollowingMember(t, 10), newFollowingMember(t, 10)
			s := ahead.subscribe(t, hub.Request{Topics: ahead.topics})
			ahead.mark(mark)
			ahead.events("1", "2", "3")
			s.awaitData("3")
			s.close()
			id := s.lastID()
			if tt.lost {
				id = "lost"
			}
			tt.before(lagging)
			receive := sync.OnceFunc(func() { tt.after(lagging) })
			lagging.source.onSync = receive
			back := lagging.subscribe(t, hub.Request{Topics: lagging.topics, IDs: []string{id}})
			defer back.close()
			receive()
			lagging.events("4")
			back.awaitData("4")
			back.check("the client", []string{"4"}, []string{"channel:c unknown-cursor null"})
		})
	}
}

// A node was interrupted twice between the marker of a client and its position, and no longer holds
// these gaps. It must not place the client by counting, since it has not counted all events.
func TestChannel_EvictedGapsRepeatNoEvent(t *testing.T) {
	t.Parallel()
	mark := marker.Marker{Node: "onlynode", Sequence: 1}
	ahead, other := newFollowingMember(t, 10), newFollowingMember(t, 4)
	s := ahead.subscribe(t, hub.Request{Topics: ahead.topics})
	ahead.mark(mark)
	other.mark(mark)
	for range 2 { // without loss
		other.disconnect()
		other.resume()
	}
	ahead.events("1", "2", "3")
	s.awaitData("3")
	s.close()
	other.events("1", "2", "3", "4")
	for k, frame := range s.got {
		back := other.subscribe(t, hub.Request{Topics: other.topics, IDs: []string{frame.id}})
		back.read()
		back.check(fmt.Sprint("after event ", k+1), nil, []string{"channel:c unknown-cursor null"})
		back.close()
	}
}

// followingMember is a node that follows channel:c, and its connection.
type followingMember struct {
	gateway
	t       *testing.T
	source  *fakeSource
	topics  []event.Topic
	markers *marker.Log
	view    *marker.View
}

func newFollowingMember(t *testing.T, events int) *followingMember {
	t.Helper()
	n := &followingMember{t: t, source: newFakeSource(), topics: topics(t, "channel:c"), markers: marker.NewLog()}
	n.view = n.markers.View()
	n.source.begin.Markers = n.view
	n.gateway = newGateway(t, n.source, history(events))
	t.Cleanup(n.subscribe(t, hub.Request{Topics: n.topics}).close)
	return n
}

func (n *followingMember) mark(m marker.Marker) {
	n.markers.Add(m)
}

func (n *followingMember) events(payloads ...string) {
	n.t.Helper()
	for _, payload := range payloads {
		n.source.event(n.t, "channel:c", "c", payload)
	}
}

// disconnect replaces the connection by a new one, on which the topic is not followed yet.
func (n *followingMember) disconnect() {
	n.view.End()
	n.markers = marker.NewLog()
}

// resume follows the topic again.
func (n *followingMember) resume() {
	n.t.Helper()
	n.view = n.markers.View()
	at := source.Position{Markers: n.view}
	n.source.sink(n.t, "channel:c").Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, At: at})
}
