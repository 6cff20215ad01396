package main

import (
	"strings"
	"testing"
)

// A message that is larger than the history reaches every client, even if other messages follow
// immediately. A message above the size limit is a gap.
func TestChannels_LargeMessages(t *testing.T) {
	t.Parallel()
	g := startOnRedis(t)
	const clients = 8
	var subs []*stream
	for range clients {
		subs = append(subs, g.subscribe("?channel=updates"))
	}
	large, tooLarge := strings.Repeat("x", 5<<20), strings.Repeat("y", 8<<20+1)
	pipe := g.direct.Pipeline()
	pipe.Publish(t.Context(), "updates", large)
	pipe.Publish(t.Context(), "updates", "1")
	pipe.Publish(t.Context(), "updates", tooLarge)
	pipe.Publish(t.Context(), "updates", large)
	pipe.Publish(t.Context(), "updates", "2")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, s := range subs {
		if f := s.next(); f.data != large {
			t.Fatalf("client %d: got first event %q with %d bytes", i, f.name, len(f.data))
		}
		if f := s.next(); f.data != "1" {
			t.Fatalf("client %d: got %.100q after the large message", i, f.data)
		}
		if gap, f := s.gap(); gap.Reason != "too-large" || gap.Lost == nil || *gap.Lost != 1 {
			t.Fatalf("client %d: got %.100q for the message that is too large", i, f.data)
		}
		if f := s.next(); f.data != large {
			t.Fatalf("client %d: got %q with %d bytes after the gap", i, f.name, len(f.data))
		}
		if f := s.next(); f.data != "2" {
			t.Fatalf("client %d: got last event %.100q", i, f.data)
		}
	}
}
