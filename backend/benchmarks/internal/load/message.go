package load

import (
	"bytes"
	"strconv"
	"time"
)

// A message is JSON in which a reader finds the number and the time without parsing the rest. At
// millions of messages per second, parsing costs too much.
var (
	numberMark = []byte(`{"n":`)
	timeMark   = []byte(`,"t":`)
)

const (
	paddingMark, messageEnd = `,"pad":"`, `"}`
	// maxOverhead is an upper bound of the size of a message without its padding.
	maxOverhead = 64
)

// newMessage returns a message of at least size bytes.
func newMessage(number int64, at time.Time, size int) []byte {
	m := make([]byte, 0, size+maxOverhead)
	m = append(m, numberMark...)
	m = strconv.AppendInt(m, number, 10)
	m = append(m, timeMark...)
	m = strconv.AppendInt(m, at.UnixNano(), 10)
	m = append(m, paddingMark...)
	for len(m) < size-len(messageEnd) {
		m = append(m, 'x')
	}
	return append(m, messageEnd...)
}

// nextMessage returns the number and the time of the first message in text, and the text after them.
func nextMessage(text []byte) (number, nanos int64, rest []byte, found bool) {
	_, rest, found = bytes.Cut(text, numberMark)
	if !found {
		return 0, 0, nil, false
	}
	number, rest = digits(rest)
	rest, found = bytes.CutPrefix(rest, timeMark)
	nanos, rest = digits(rest)
	return number, nanos, rest, found
}

func digits(text []byte) (n int64, rest []byte) {
	i := 0
	for ; i < len(text) && '0' <= text[i] && text[i] <= '9'; i++ {
		n = n*10 + int64(text[i]-'0')
	}
	return n, text[i:]
}
