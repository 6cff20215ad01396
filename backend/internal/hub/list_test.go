package hub_test

import (
	"slices"
	"testing"

	"sluice/internal/hub"
	"sluice/internal/journal"
)

// A client that reads a part of a batch reads the rest again, so the server holds at most the rest
// of one frame for it.
func TestList_UnreadFramesAreReadAgain(t *testing.T) {
	t.Parallel()
	h, broker := newHub(t, history(500))
	c := subscribe(t, h, hub.Request{Topics: topics(t, "channel:a", "channel:b")})
	defer c.sub.Close()
	c.read()
	publish(t, broker, "channel:a", numbers(1, 20)...)
	reader := c.sub.Reader()
	batch, ok := reader.Next()
	if !ok || batch.Frames != 20 {
		t.Fatalf("got a batch of %d frames", batch.Frames)
	}
	whole := slices.Clone(batch.Bytes)
	size := len(whole) / 20
	reader.Unread(&batch, 5*size/2) // in the third frame
	if batch.Frames != 3 || len(batch.Bytes) < 5*size/2 || len(batch.Bytes) > 4*size {
		t.Errorf("got a batch of %d frames, %d bytes", batch.Frames, len(batch.Bytes))
	}
	got := frames(t, batch.Bytes)
	for {
		var next journal.Batch
		if next, ok = reader.Next(); !ok || len(next.Bytes) == 0 {
			break
		}
		got = append(got, frames(t, next.Bytes)...)
	}
	if all := frames(t, whole); !slices.EqualFunc(got, all, func(a, b frame) bool { return a.id == b.id && a.data == b.data }) {
		t.Errorf("got %d frames in total, want %d", len(got), len(all))
	}
}
