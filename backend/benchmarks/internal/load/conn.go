package load

import (
	"bytes"
	"fmt"
	"time"
)

// conn is a connection that reads an event stream.
type conn struct {
	fd      int
	open    bool // the head of the response was received
	chunked bool
	chunks  dechunker
	last    int64  // number of the newest message, or 0
	partial []byte // incomplete head or last line
}

var (
	headEnd = []byte("\r\n\r\n")
	okay    = []byte("HTTP/1.1 200 ")
	chunked = []byte("\r\ntransfer-encoding: chunked")
	ping    = []byte("event: stream.ping\n")
)

// receive processes data that was read at the time now. Messages published before since are not
// counted. Both times are in nanoseconds since 1970. It returns an error if the response is not 200.
func (c *conn) receive(b []byte, t *Result, since, now int64) error {
	if !c.open {
		c.partial = append(c.partial, b...)
		head, body, complete := bytes.Cut(c.partial, headEnd)
		if !complete {
			return nil
		}
		if !bytes.HasPrefix(head, okay) {
			line, _, _ := bytes.Cut(head, []byte("\r\n"))
			return fmt.Errorf("the server responded with %q", line)
		}
		c.open, c.partial = true, nil
		c.chunked = bytes.Contains(bytes.ToLower(head), chunked)
		b = body
	}
	if c.chunked {
		b = c.chunks.strip(b)
	}
	c.lines(b, t, since, now)
	return nil
}

// lines counts the messages in the complete lines.
func (c *conn) lines(b []byte, t *Result, since, now int64) {
	if len(c.partial) > 0 {
		b = append(c.partial, b...)
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	text, rest := b[:end], b[end:]
	found := false
	for {
		number, nanos, remaining, ok := nextMessage(text)
		if !ok {
			break
		}
		text, found = remaining, true
		if nanos >= since {
			t.add(time.Duration(now - nanos))
			if c.last != 0 && number != c.last+1 {
				t.Wrong++
			}
		}
		c.last = number
	}
	if !found && bytes.Contains(text, ping) {
		t.Pings++
	}
	c.partial = append(c.partial[:0], rest...) // after the last use of text, which may share its memory
	if len(c.partial) == 0 {
		c.partial = nil // an idle connection keeps no buffer
	}
}
