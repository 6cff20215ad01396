package audit

import (
	"encoding/json"
	"sync"

	"sluice/internal/event"
)

// Recorder records the events of one subscriber and checks them. One goroutine calls Record;
// the other methods may be called from any goroutine.
type Recorder struct {
	run string

	mu        sync.Mutex
	topics    []event.Topic
	checkers  map[event.Topic]checker
	misplaced map[event.Topic]int64 // messages received under the wrong topic, by that topic
}

// NewRecorder returns a recorder for a subscriber that follows the topics of the publications.
// There must be at least one publication, and all must belong to one audit.
func NewRecorder(publications ...*Publication) *Recorder {
	r := &Recorder{checkers: make(map[event.Topic]checker), misplaced: make(map[event.Topic]int64)}
	for _, p := range publications {
		r.run = p.run
		r.topics = append(r.topics, p.Topic)
		r.checkers[p.Topic] = newChecker(p)
	}
	return r
}

// Record checks one event, given by its id, its type (empty if it has none) and its data. If the
// event is a message of this audit, Record returns the message and true.
func (r *Recorder) Record(id, eventType, data string) (Message, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch eventType {
	case "stream.open":
		for _, c := range r.checkers {
			c.opened()
		}
	case "stream.gap":
		r.gap(data)
	case event.KeyDeleted:
		if c := r.checkers[r.topic(id)]; c != nil {
			c.deleted()
		}
	case "":
		return r.message(id, data)
	}
	return Message{}, false
}

func (r *Recorder) gap(data string) {
	g := struct {
		Topic string `json:"topic"`
		Lost  int64  `json:"lost"`
	}{Lost: event.LostUnknown}
	if json.Unmarshal([]byte(data), &g) != nil {
		return // a gap that cannot be parsed announces nothing
	}
	topic, _ := event.ParseTopic(g.Topic)
	if c := r.checkers[topic]; c != nil {
		c.gap(g.Lost)
	}
}

func (r *Recorder) message(id, data string) (Message, bool) {
	var m Message
	if err := json.Unmarshal([]byte(data), &m); err != nil || m.N < 1 || m.Run != r.run {
		return m, false // from another publisher, or from an earlier audit
	}
	topic := r.topic(id)
	if topic.String() != m.Topic || r.checkers[topic] == nil {
		r.misplaced[topic]++
		return m, false
	}
	r.checkers[topic].received(m.N)
	return m, true
}

// topic returns the topic that an id names, or the first topic if the id names none.
func (r *Recorder) topic(id string) event.Topic {
	if topic, _ := event.SplitID(id); topic != (event.Topic{}) {
		return topic
	}
	return r.topics[0]
}

// Behind returns the topics whose newest confirmed message has not been received.
func (r *Recorder) Behind() []event.Topic {
	r.mu.Lock()
	defer r.mu.Unlock()
	var behind []event.Topic
	for _, t := range r.topics {
		if !r.checkers[t].complete() {
			behind = append(behind, t)
		}
	}
	return behind
}

// Results returns the current result of each topic.
func (r *Recorder) Results() map[event.Topic]Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[event.Topic]Result)
	for topic, c := range r.checkers {
		out[topic] = c.result()
	}
	for topic, n := range r.misplaced {
		result := out[topic]
		result.Misplaced = n
		out[topic] = result
	}
	return out
}
