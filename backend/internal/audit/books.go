package audit

import (
	"encoding/json"
	"sync"

	"sluice/internal/event"
)

// Books are the ledgers of one subscriber. One goroutine takes its events; any may ask.
type Books struct {
	run string

	mu        sync.Mutex
	topics    []event.Topic
	ledgers   map[event.Topic]ledger
	opened    int64 // how often a stream.open came
	misplaced map[event.Topic]int64
}

// NewBooks returns the books of a subscriber that follows the topics of the
// publications, all of them of one audit.
func NewBooks(publications ...*Publication) *Books {
	b := &Books{ledgers: make(map[event.Topic]ledger), misplaced: make(map[event.Topic]int64)}
	for _, p := range publications {
		b.run = p.run
		b.topics = append(b.topics, p.topic)
		b.ledgers[p.topic] = newLedger(p)
	}
	return b
}

// Take books one event as it arrived: its id, its type (empty for none) and its data.
// It returns the message if the event is one of this audit.
func (b *Books) Take(id, eventType, data string) (Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch eventType {
	case "stream.open":
		b.opened++
		for _, l := range b.ledgers {
			l.opened()
		}
	case "stream.gap":
		b.gap(data)
	case event.KeyDeleted:
		if l := b.ledgers[b.topicOf(id)]; l != nil {
			l.deleted()
		}
	case "":
		return b.message(id, data)
	}
	return Message{}, false
}

func (b *Books) gap(data string) {
	var g struct {
		Topic string `json:"topic"`
		Lost  *int64 `json:"lost"`
	}
	if json.Unmarshal([]byte(data), &g) != nil {
		return // whoever cannot be understood announces nothing
	}
	topic, _ := event.ParseTopic(g.Topic)
	l := b.ledgers[topic]
	switch {
	case l == nil:
	case g.Lost == nil:
		l.gap(event.LostUnknown)
	default:
		l.gap(*g.Lost)
	}
}

func (b *Books) message(id, data string) (Message, bool) {
	m, ok := parseMessage(data)
	if !ok || m.Run != b.run {
		return m, false // somebody else publishes there too, or did
	}
	topic := b.topicOf(id)
	if topic.String() != m.Topic || b.ledgers[topic] == nil {
		b.misplaced[topic]++
		return m, false
	}
	b.ledgers[topic].received(m.N)
	return m, true
}

// topicOf returns the topic that an id names.
func (b *Books) topicOf(id string) event.Topic {
	if topic, _ := event.SplitID(id); topic != (event.Topic{}) {
		return topic
	}
	return b.topics[0]
}

// Opened returns how often a stream.open came.
func (b *Books) Opened() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened
}

// Complete reports whether the newest message of each topic that is confirmed by now
// is there.
func (b *Books) Complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.ledgers {
		if !l.complete() {
			return false
		}
	}
	return true
}

// Behind appends the topics whose newest message is not there to list.
func (b *Books) Behind(list []event.Topic) []event.Topic {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.topics {
		if !b.ledgers[t].complete() {
			list = append(list, t)
		}
	}
	return list
}

// Tallies returns the outcome for each topic as of now.
func (b *Books) Tallies() map[event.Topic]Tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[event.Topic]Tally)
	for topic, l := range b.ledgers {
		out[topic] = l.tally()
	}
	for topic, n := range b.misplaced {
		t := out[topic]
		t.Misplaced = n
		out[topic] = t
	}
	return out
}
