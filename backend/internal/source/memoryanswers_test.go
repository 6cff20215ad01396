package source

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/event"
)

func TestMemoryAnswers_Expire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := newMemoryAnswers()
		key := func(i int) [sha256.Size]byte { return idempotencySum("s", fmt.Sprint(i)) }
		for i := range 10 {
			answers.add(key(i), event.StreamID{Millis: uint64(i + 1)}, "f")
			time.Sleep(time.Minute)
		}
		for i := range 10 {
			id, known, err := answers.find(key(i), "f")
			if want := i > 0; known != want || err != nil || known && id.Millis != uint64(i+1) {
				t.Errorf("after %s, answer %d is %s, known is %v, %v", 10*time.Minute, i, id, known, err)
			}
		}
		time.Sleep(idempotencyTime)
		if _, known, _ := answers.find(key(9), "f"); known || len(answers.byKey) != 0 || len(answers.order) != 0 {
			t.Errorf("after all have expired, %d answers are left", len(answers.byKey))
		}
	})
}

func TestMemoryAnswers_AreBounded(t *testing.T) {
	t.Parallel()
	answers := newMemoryAnswers()
	known := idempotencySum("s", "known")
	answers.add(known, event.StreamID{Millis: 1}, "f")
	answers.order = append(answers.order, make([][sha256.Size]byte, maxAnswers-1)...)
	if _, _, err := answers.find(idempotencySum("s", "new"), "f"); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "--redis-url") {
		t.Errorf("a new key gives %v", err)
	}
	if id, ok, err := answers.find(known, "f"); !ok || err != nil || id.Millis != 1 {
		t.Errorf("a known key gives %s, %v, %v", id, ok, err)
	}
}

// The keys are 60 KB each; the test counts the bytes that remain.
func TestMemory_KeepsHashesOfIdempotencyKeys(t *testing.T) {
	const publishes, most = 1000, 4 << 20
	m := NewMemory(Fill{})
	long := strings.Repeat("k", 60<<10)
	before := heapBytes()
	for i := range publishes {
		if _, err := m.Publish(t.Context(), event.Literal(event.Stream, "s"), Message{Data: []byte("x"), IdempotencyKey: fmt.Sprint(i, long)}); err != nil {
			t.Fatal(err)
		}
	}
	if grown := heapBytes() - before; grown > most {
		t.Errorf("%d publishes keep %d bytes, want at most %d", publishes, grown, most)
	}
	runtime.KeepAlive(m)
}

func heapBytes() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
