package hub_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/internal/hub"
)

// newBoundedHub returns a hub that follows few topics, of a source that says which.
func newBoundedHub(t *testing.T, most int) (*hub.Hub, *fakeSource) {
	t.Helper()
	src := newFakeSource()
	h := hub.New(src, hub.Options{Node: "n1", History: events(10), Linger: time.Hour, MaxTopics: most}, new(counts))
	t.Cleanup(h.Close)
	return h, src
}

// visit follows topics and leaves them at once, one after the other.
func visit(t *testing.T, h *hub.Hub, texts ...string) {
	t.Helper()
	for _, topic := range topics(t, texts...) {
		subscribe(t, h, hub.Request{Topics: listOf(t, topic.String())}).sub.Close()
	}
}

func (s *fakeSource) check(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for topic := range s.sinks {
		got = append(got, topic)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("followed are %q, want %q", got, want)
	}
}

func checkFull(t *testing.T, h *hub.Hub, texts ...string) {
	t.Helper()
	if _, err := h.Subscribe(t.Context(), hub.Request{Topics: topics(t, texts...)}); !errors.Is(err, hub.ErrFull) {
		t.Errorf("%q gives %v", texts, err)
	}
}

func TestMaxTopics_TheOneWithoutSubscribersForLongestMakesRoom(t *testing.T) {
	t.Parallel()
	h, src := newBoundedHub(t, 3)
	inside := subscribe(t, h, hub.Request{Topics: topics(t, "channel:inside")})
	visit(t, h, "channel:a", "channel:b", "channel:a", "channel:c")
	src.check(t, "channel:a", "channel:c", "channel:inside")
	for n := range 100 {
		visit(t, h, fmt.Sprint("channel:", n))
	}
	src.check(t, "channel:98", "channel:99", "channel:inside")
	src.event(t, "channel:inside", "inside", "x")
	inside.read()
	inside.check("who is inside", []string{"x"}, nil)
	inside.sub.Close()
}

func TestMaxTopics_WhatIsAskedForDoesNotMakeRoom(t *testing.T) {
	t.Parallel()
	h, src := newBoundedHub(t, 2)
	visit(t, h, "channel:a", "channel:b")
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:c", "channel:a")})
	src.check(t, "channel:a", "channel:c")
	c.sub.Close()
}

func TestMaxTopics_WhereAllHaveSubscribersNoOtherIsFollowed(t *testing.T) {
	t.Parallel()
	h, src := newBoundedHub(t, 3)
	if err := h.Follow(topics(t, "channel:default")); err != nil {
		t.Fatal(err)
	}
	a := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a")})
	visit(t, h, "channel:b")
	checkFull(t, h, "channel:c", "channel:d")
	checkFull(t, h, "channel:b", "channel:c")
	src.check(t, "channel:a", "channel:b", "channel:default") // what is refused costs nobody anything
	b := subscribe(t, h, hub.Request{Topics: topics(t, "channel:b", "channel:a")})
	checkFull(t, h, "channel:c")
	checkFull(t, h, "channel:a", "channel:c")
	for _, c := range []*client{a, b} {
		src.event(t, "channel:a", "a", "x")
		c.read()
		c.checkGaps("who is inside")
	}
	b.sub.Close()
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:c")})
	src.check(t, "channel:a", "channel:c", "channel:default")
	for _, c := range []*client{a, c} {
		c.sub.Close()
	}
}

func TestMaxTopics_NoneIsNoBound(t *testing.T) {
	t.Parallel()
	h, src := newBoundedHub(t, 0)
	for n := range 100 {
		visit(t, h, fmt.Sprint("channel:", n))
	}
	if n := src.followed(); n != 100 {
		t.Errorf("%d topics are followed", n)
	}
}
