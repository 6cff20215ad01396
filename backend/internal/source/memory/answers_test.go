package memory

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

func TestMemoryAnswers_Expire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := newAnswers()
		key := func(i int) [sha256.Size]byte { return source.IdempotencySum("s", fmt.Sprint(i)) }
		for i := range 10 {
			answers.add(key(i), event.StreamID{Millis: uint64(i + 1)}, "f")
			time.Sleep(time.Minute)
		}
		answers.expire(time.Now())
		for i := range 10 {
			id, known, err := answers.find(key(i), "f")
			if want := i > 0; known != want || err != nil || known && id.Millis != uint64(i+1) {
				t.Errorf("after %s, answer %d: got %s, known %v, error %v", 10*time.Minute, i, id, known, err)
			}
		}
		time.Sleep(source.IdempotencyTime)
		answers.expire(time.Now())
		if _, known, _ := answers.find(key(9), "f"); known || len(answers.byKey) != 0 || len(answers.order) != 0 || answers.size != 0 {
			t.Errorf("got %d answers after all have expired", len(answers.byKey))
		}
	})
}

// The keys have 60 KB each. The test counts the bytes that remain.
func TestMemory_KeepsHashesOfIdempotencyKeys(t *testing.T) {
	const publishes, most = 1000, 4 << 20
	m := New(source.Fill{})
	long := strings.Repeat("k", 60<<10)
	before := heapBytes()
	for i := range publishes {
		if _, err := m.Publish(t.Context(), event.Literal(event.Stream, "s"), source.Message{Data: []byte("x"), IdempotencyKey: fmt.Sprint(i, long)}); err != nil {
			t.Fatal(err)
		}
	}
	if grown := heapBytes() - before; grown > most {
		t.Errorf("after %d publishes: got %d bytes, want at most %d", publishes, grown, most)
	}
	runtime.KeepAlive(m)
}
