package memory

import (
	"crypto/sha256"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

// answers remembers the answers to publishes with an idempotency key. All answers are
// remembered for the same time, so they expire in the order in which they were added.
type answers struct {
	byKey map[[sha256.Size]byte]answer
	order [][sha256.Size]byte // keys of byKey, the oldest first
	size  int                 // bytes that the answers need
}

type answer struct {
	id          event.StreamID
	fingerprint string
	expires     time.Time
}

func newAnswers() answers {
	return answers{byKey: make(map[[sha256.Size]byte]answer)}
}

// find returns the remembered answer of a key, and whether there is one.
// It returns source.ErrKeyReused if the fingerprint differs.
func (a *answers) find(key [sha256.Size]byte, fingerprint string) (id event.StreamID, known bool, err error) {
	answer, known := a.byKey[key]
	if known && answer.fingerprint != fingerprint {
		return id, false, source.ErrKeyReused
	}
	return answer.id, known, nil
}

// add remembers the answer of a key for idempotencyTime. The key must not be known.
func (a *answers) add(key [sha256.Size]byte, id event.StreamID, fingerprint string) {
	a.byKey[key] = answer{id, fingerprint, time.Now().Add(source.IdempotencyTime)}
	a.order = append(a.order, key)
	a.size += answerSize(fingerprint)
}

// expire removes the answers whose time is over.
func (a *answers) expire(now time.Time) {
	for len(a.order) > 0 && !now.Before(a.byKey[a.order[0]].expires) {
		a.size -= answerSize(a.byKey[a.order[0]].fingerprint)
		delete(a.byKey, a.order[0])
		a.order = a.order[1:]
		if len(a.order) == 0 {
			*a = newAnswers() // an empty map keeps the memory of its largest size
		}
	}
}
