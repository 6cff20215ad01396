package main

import (
	"strings"
	"testing"
)

// A message that is larger than the history reaches every client, also if others follow at
// once. A larger one is a gap.
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
			t.Fatalf("client %d: %q with %d bytes comes first", i, f.name, len(f.data))
		}
		if f := s.next(); f.data != "1" {
			t.Fatalf("client %d: %.100q comes after the large message", i, f.data)
		}
		if gap, f := s.gap(); gap.Reason != "too-large" || gap.Lost == nil || *gap.Lost != 1 {
			t.Fatalf("client %d: %.100q comes for the message that is too large", i, f.data)
		}
		if f := s.next(); f.data != large {
			t.Fatalf("client %d: %q with %d bytes comes after the gap", i, f.name, len(f.data))
		}
		if f := s.next(); f.data != "2" {
			t.Fatalf("client %d: %.100q comes last", i, f.data)
		}
	}
}
