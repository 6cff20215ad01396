package pubsub

import (
	"log/slog"
	"slices"
	"testing"

	"sluice/internal/source/marker"
)

// reply is an error reply of Redis.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func newTestSession() (*conn, *session) {
	c := &conn{following: make(map[Subscription]*following), log: slog.New(slog.DiscardHandler)}
	c.markers = newMarkerPublisher(nil, "markers")
	c.markers.log = marker.NewLog()
	c.session = &session{pending: make(map[Subscription]int), wake: make(chan struct{}, 1)}
	return c, c.session
}

// subscribes returns the queued subscriptions and empties the queue.
func (s *session) subscribes() []string {
	var names []string
	for _, command := range s.queue {
		for _, name := range command.names {
			if command.subscribe {
				names = append(names, name.Name)
			}
		}
	}
	s.queue = nil
	return names
}

type ignored struct{}

func (ignored) Confirmed(bool, *marker.View) {}
func (ignored) Message(string, string)       {}

// routeTo returns a route that follows one name.
func routeTo(receiver Receiver, name Subscription) *Route {
	return &Route{receiver: receiver, names: []Subscription{name}}
}

func TestSession_RepeatsRejectedBatchWithoutClosedNames(t *testing.T) {
	t.Parallel()
	c, s := newTestSession()
	a, b := Subscription{Literal, "a"}, Subscription{Literal, "b"}
	c.follow(routeTo(ignored{}, a), false)
	closed := c.follow(routeTo(ignored{}, b), false)
	s.subscribes()
	s.sent, s.pending = nil, make(map[Subscription]int)
	s.enqueue(true, a, b)
	closed.close()
	s.subscribes()
	c.refuse(s, reply("NOPERM"))
	if names := s.subscribes(); !slices.Equal(names, []string{"a"}) {
		t.Errorf("after Redis rejected a and b, and b was closed: got subscriptions %q", names)
	}
	c.confirmed(s, a)
	if len(s.pending) > 0 || len(s.sent) > 0 {
		t.Errorf("got pending commands %v, %v", s.pending, s.sent)
	}
}

func TestSession_ReleasesClosedNames(t *testing.T) {
	t.Parallel()
	c, s := newTestSession()
	for _, answer := range []func(Subscription){
		func(name Subscription) { c.confirmed(s, name) },
		func(Subscription) { c.refuse(s, reply("NOPERM")) },
	} {
		name := Subscription{Literal, "a"}
		c.follow(routeTo(ignored{}, name), false).close()
		answer(name)
	}
	if len(s.pending) > 0 || len(s.sent) > 0 {
		t.Errorf("got pending commands %v, %v", s.pending, s.sent)
	}
}

// An error reply to an earlier subscription does not affect a later one.
func TestSession_ErrorOfClosedFollowingIsIgnored(t *testing.T) {
	t.Parallel()
	c, s := newTestSession()
	name := Subscription{Literal, "a"}
	c.follow(routeTo(ignored{}, name), false).close()
	second := c.follow(routeTo(ignored{}, name), false)
	c.refuse(s, reply("NOPERM"))
	if second.refused != nil {
		t.Errorf("the second following is rejected: %v", second.refused)
	}
	c.confirmed(s, name)
	if second.pending() {
		t.Error("the second following is not live")
	}
}

// abandoning is a receiver whose following is closed during its call.
type abandoning struct {
	f    *following
	view *marker.View
}

func (a *abandoning) Confirmed(_ bool, view *marker.View) {
	a.f.close()
	a.view = view
}

func (*abandoning) Message(string, string) {}

// The receiver may get no more messages, so no later marker is inside its view.
func TestFollowing_CloseDuringConfirmationEndsView(t *testing.T) {
	t.Parallel()
	c, s := newTestSession()
	r := new(abandoning)
	name := Subscription{Literal, "a"}
	r.f = c.follow(routeTo(r, name), false)
	c.confirmed(s, name)
	c.markers.log.Add(marker.Marker{Node: "abcdefgh", Sequence: 1})
	if m, _, ok := r.view.Newest(); ok {
		t.Errorf("got %v in the view", m)
	}
}
