package hub_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sluice/internal/hub"
)

// newBoundedHub returns a hub with a topic limit, and its source.
func newBoundedHub(t *testing.T, most int) (*hub.Hub, *fakeSource) {
	t.Helper()
	src := newFakeSource()
	h := hub.New(src, hub.Options{Node: "n1", History: history(10), Linger: time.Hour, MaxTopics: most}, noMetrics{})
	t.Cleanup(h.Close)
	return h, src
}

// followAndRelease subscribes to each topic and closes the subscription.
func followAndRelease(t *testing.T, h *hub.Hub, texts ...string) {
	t.Helper()
	for _, topic := range topics(t, texts...) {
		subscribe(t, h, hub.Request{Topics: topics(t, topic.String())}).sub.Close()
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
		t.Errorf("got followed topics %q, want %q", got, want)
	}
}

func checkFull(t *testing.T, h *hub.Hub, texts ...string) {
	t.Helper()
	if _, err := h.Subscribe(t.Context(), hub.Request{Topics: topics(t, texts...)}); !errors.Is(err, hub.ErrFull) {
		t.Errorf("%q: got error %v", texts, err)
	}
}

func TestMaxTopics_EvictsLongestUnused(t *testing.T) {
	t.Parallel()
	h, src := newBoundedHub(t, 3)
	inside := subscribe(t, h, hub.Request{Topics: topics(t, "channel:inside")})
	followAndRelease(t, h, "channel:a", "channel:b", "channel:a", "channel:c")
	src.check(t, "channel:a", "channel:c", "channel:inside")
	for n := range 100 {
		followAndRelease(t, h, fmt.Sprint("channel:", n))
	}
	src.check(t, "channel:98", "channel:99", "channel:inside")
	src.event(t, "channel:inside", "inside", "x")
	inside.read()
	inside.check("who is inside", []string{"x"}, nil)
	inside.sub.Close()
}

func TestMaxTopics_KeepsRequestedTopics(t *testing.T) {
	t.Parallel()
	h, src := newBoundedHub(t, 2)
	followAndRelease(t, h, "channel:a", "channel:b")
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:c", "channel:a")})
	src.check(t, "channel:a", "channel:c")
	c.sub.Close()
}

func TestMaxTopics_RejectsNewIfAllInUse(t *testing.T) {
	t.Parallel()
	h, src := newBoundedHub(t, 3)
	if err := h.Follow(topics(t, "channel:default")); err != nil {
		t.Fatal(err)
	}
	a := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a")})
	followAndRelease(t, h, "channel:b")
	checkFull(t, h, "channel:c", "channel:d")
	checkFull(t, h, "channel:b", "channel:c")
	src.check(t, "channel:a", "channel:b", "channel:default") // a rejected topic evicts no other topic
	b := subscribe(t, h, hub.Request{Topics: topics(t, "channel:b", "channel:a")})
	checkFull(t, h, "channel:c")
	checkFull(t, h, "channel:a", "channel:c")
	for _, c := range []*testClient{a, b} {
		src.event(t, "channel:a", "a", "x")
		c.read()
		c.checkGaps("who is inside")
	}
	b.sub.Close()
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:c")})
	src.check(t, "channel:a", "channel:c", "channel:default")
	for _, c := range []*testClient{a, c} {
		c.sub.Close()
	}
}

func TestMaxTopics_ZeroIsUnlimited(t *testing.T) {
	t.Parallel()
	h, src := newBoundedHub(t, 0)
	for n := range 100 {
		followAndRelease(t, h, fmt.Sprint("channel:", n))
	}
	if n := src.followed(); n != 100 {
		t.Errorf("%d topics are followed", n)
	}
}
