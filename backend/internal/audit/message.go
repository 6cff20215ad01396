// Package audit checks what subscribers got against what was published. Publishers
// number the messages of each topic from 1; for every subscriber and topic a ledger is
// kept in which each number must turn up once and in order, except where a gap was
// announced, with the right count where one was given. The package knows the events
// that a subscriber sees, and nothing of connections, or of who publishes how.
package audit

import (
	"encoding/json"
	"strings"
)

// Message is the payload that a publisher sends.
type Message struct {
	Run   string `json:"run"` // tells the messages of one audit from all others
	Topic string `json:"topic"`
	N     int64  `json:"n"`
	Time  int64  `json:"t"` // when it was published, in nanoseconds since 1970
	Pad   string `json:"pad,omitempty"`
}

// encode returns the message as JSON, padded to size bytes if it is shorter.
func (m Message) encode(size int) []byte {
	text := marshal(m)
	const pad = len(`,"pad":""`)
	if missing := size - len(text) - pad; missing > 0 {
		m.Pad = strings.Repeat("x", missing)
		text = marshal(m)
	}
	return text
}

func marshal(m Message) []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return text
}

// parseMessage reads what encode wrote. Anything else is not a message.
func parseMessage(data string) (Message, bool) {
	var m Message
	err := json.Unmarshal([]byte(data), &m)
	return m, err == nil && m.N > 0
}
