// Package audit compares the events that subscribers received with the messages that were
// published. Publishers number the messages of each topic from 1. Each subscriber must receive
// each number once and in order. Numbers may be missing only at an announced gap, and if the
// gap has a count, the count must be correct. The package handles events; it does not know
// about connections or about the way messages are published.
package audit

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Message is the payload that a publisher sends, except for the member pad that extends it.
type Message struct {
	Run   string `json:"run"` // id of the audit
	Topic string `json:"topic"`
	N     int64  `json:"n"`
	Time  int64  `json:"t"` // time of publishing, in nanoseconds since 1970
}

// encode returns the message as JSON of at least size bytes, padded if necessary.
func (m Message) encode(size int) []byte {
	text, _ := json.Marshal(m) // strings and numbers always encode
	if missing := size - len(text) - len(`,"pad":""`); missing > 0 {
		text = fmt.Appendf(text[:len(text)-1], `,"pad":"%s"}`, strings.Repeat("x", missing))
	}
	return text
}
