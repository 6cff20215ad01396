package memory

import (
	"fmt"

	"sluice/internal/event"
	"sluice/internal/source"
)

// limitBytes bounds what an embedded broker keeps: streams, keys and idempotency answers.
const limitBytes = 256 << 20

// The bytes that a part needs besides its text: slots in maps and slices, which may be half
// empty, headers, and the rounding of allocations.
const (
	streamOverhead = 256
	entryOverhead  = 128
	keyOverhead    = 256
	answerOverhead = 256
)

// use is the memory that a broker needs, in bytes.
type use struct {
	streams, keys int
}

func streamSize(name string) int {
	return streamOverhead + len(name)
}

func entrySize(eventType string, data []byte) int {
	return entryOverhead + len(eventType) + len(data)
}

// keySize returns the memory of a key. The value counts in the form that subscribers get,
// which is never smaller: line breaks and invalid UTF-8 need more bytes there.
func keySize(topic event.Topic, data []byte) int {
	return keyOverhead + len(topic.Pattern) + len(event.AppendBody(nil, "", data))
}

func answerSize(fingerprint string) int {
	return answerOverhead + len(fingerprint)
}

// checkRoom returns an error that wraps source.ErrFull if the broker has no room for messages to a
// topic, and for the answer to them if once is set. A publish that needs no further memory
// has room, so a trimmed stream and a key that exists can be published to at the limit.
// m.mu must be held.
func (m *Broker) checkRoom(topic event.Topic, messages []source.Message, once bool) error {
	grown := m.growth(topic, messages)
	if topic.Kind == event.Key {
		_, exists := m.values[topic.Name()]
		switch {
		case !exists && len(m.values) >= source.MaxKeys:
			return fmt.Errorf("%w: it holds %d keys; use Redis (--redis-url) for more", source.ErrFull, source.MaxKeys)
		case m.KeyBytes > 0 && grown > 0 && m.used.keys+grown > m.KeyBytes:
			return fmt.Errorf("%w: its keys need at most %d bytes; store less, raise --key-bytes, or use Redis (--redis-url)", source.ErrFull, m.KeyBytes)
		}
	}
	if once {
		grown += answerSize(messages[0].Fingerprint)
	}
	if grown > 0 && m.used.streams+m.used.keys+m.answers.size+grown > m.limit {
		return fmt.Errorf("%w: its streams, keys and idempotency keys need at most %d MiB; publish less, trim streams with maxlen, or use Redis (--redis-url)", source.ErrFull, m.limit>>20)
	}
	return nil
}

// growth returns how many bytes more the broker needs after a publish.
func (m *Broker) growth(topic event.Topic, messages []source.Message) int {
	switch topic.Kind {
	case event.Channel: // nothing is kept
		return 0
	case event.Stream:
		return m.streamGrowth(topic.Name(), messages)
	default:
		grown := keySize(topic, messages[len(messages)-1].Data)
		if old, exists := m.values[topic.Name()]; exists {
			grown -= keySize(topic, old.data)
		}
		return grown
	}
}

func (m *Broker) streamGrowth(name string, messages []source.Message) (grown int) {
	var old []source.Entry
	if s := m.streams[name]; s != nil {
		old = s.entries
	} else {
		grown = streamSize(name)
	}
	kept := messages
	if most := int(messages[len(messages)-1].MaxLen); most > 0 {
		kept = kept[max(0, len(kept)-most):]
		for _, e := range old[:max(0, min(len(old), len(old)+len(messages)-most))] {
			grown -= entrySize(e.Type, e.Data)
		}
	}
	for _, msg := range kept {
		grown += entrySize(msg.Type, msg.Data)
	}
	return grown
}
