package source

import (
	"crypto/sha256"
	"fmt"
	"time"

	"sluice/internal/event"
)

// maxAnswers bounds the answers that the embedded broker remembers: about 200 MiB.
const maxAnswers = 1 << 20

// memoryAnswers remembers the answers to publishes with an idempotency key. All answers are
// remembered for the same time, so they expire in the order in which they were added.
type memoryAnswers struct {
	byKey map[[sha256.Size]byte]memoryAnswer
	order [][sha256.Size]byte // keys of byKey, the oldest first
}

type memoryAnswer struct {
	id          event.StreamID
	fingerprint string
	expires     time.Time
}

func newMemoryAnswers() memoryAnswers {
	return memoryAnswers{byKey: make(map[[sha256.Size]byte]memoryAnswer)}
}

// find returns the answer that is remembered for a key. If there is none, known is false.
// The error wraps ErrKeyReused, or ErrFull if no further answer can be remembered.
func (a *memoryAnswers) find(key [sha256.Size]byte, fingerprint string) (id event.StreamID, known bool, err error) {
	a.expire(time.Now())
	answer, known := a.byKey[key]
	switch {
	case known && answer.fingerprint != fingerprint:
		return id, false, ErrKeyReused
	case !known && len(a.order) == maxAnswers:
		return id, false, fmt.Errorf("%w: it remembers at most %d idempotency keys, each for %s; use Redis (--redis-url) for more", ErrFull, maxAnswers, idempotencyTime)
	}
	return answer.id, known, nil
}

// add remembers the answer of a key for idempotencyTime. The key must not be known.
func (a *memoryAnswers) add(key [sha256.Size]byte, id event.StreamID, fingerprint string) {
	a.byKey[key] = memoryAnswer{id, fingerprint, time.Now().Add(idempotencyTime)}
	a.order = append(a.order, key)
}

// expire removes the answers whose time is over.
func (a *memoryAnswers) expire(now time.Time) {
	for len(a.order) > 0 && !now.Before(a.byKey[a.order[0]].expires) {
		delete(a.byKey, a.order[0])
		a.order = a.order[1:]
	}
}
