package load

import (
	"bytes"
	"fmt"
	"time"
)

// conn is a connection that reads an event stream.
type conn struct {
	fd      int
	open    bool // the head of the answer has come
	chunked bool
	chunks  dechunker
	last    int64  // number of the newest message, 0 if there is none
	partial []byte // of the head, or of the last line
}

var (
	headEnd = []byte("\r\n\r\n")
	okay    = []byte("HTTP/1.1 200 ")
	chunked = []byte("\r\ntransfer-encoding: chunked")
	ping    = []byte("event: stream.ping\n")
)

// take takes what was read. Messages published before since count for nothing but their
// order.
func (c *conn) take(b []byte, t *Tally, since, now int64) error {
	if !c.open {
		c.partial = append(c.partial, b...)
		head, body, complete := bytes.Cut(c.partial, headEnd)
		if !complete {
			return nil
		}
		if !bytes.HasPrefix(head, okay) {
			line, _, _ := bytes.Cut(head, []byte("\r\n"))
			return fmt.Errorf("the server answered %q", line)
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

// lines takes the messages in the lines that are complete.
func (c *conn) lines(b []byte, t *Tally, since, now int64) {
	if len(c.partial) > 0 {
		b = append(c.partial, b...)
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	text, rest := b[:end], b[end:]
	found := false
	for {
		number, nanos, behind, ok := nextMessage(text)
		if !ok {
			break
		}
		text, found = behind, true
		if nanos >= since {
			t.take(time.Duration(now - nanos))
			if c.last != 0 && number != c.last+1 {
				t.Wrong++
			}
		}
		c.last = number
	}
	if !found && bytes.Contains(text, ping) {
		t.Pings++
	}
	c.partial = append(c.partial[:0], rest...) // text may have been there until now
	if len(c.partial) == 0 {
		c.partial = nil // an idle connection keeps no buffer
	}
}
