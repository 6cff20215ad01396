package load

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

// body returns messages as a server sends them. The n-th message was published n ms ago.
func body(numbers ...int64) string {
	var b strings.Builder
	b.WriteString("retry: 3000\nevent: stream.open\ndata: {}\n\n")
	for _, n := range numbers {
		fmt.Fprintf(&b, "id: x.%d\ndata: %s\n\n", n, newMessage(n, time.UnixMilli(1000-n), 100))
	}
	b.WriteString("event: stream.ping\ndata: {}\n\n")
	return b.String()
}

// inChunks returns a body in wire format, with a chunk for each n bytes.
func inChunks(body string, n int) string {
	var b strings.Builder
	for len(body) > 0 {
		piece := body[:min(n, len(body))]
		body = body[len(piece):]
		fmt.Fprintf(&b, "%X;x=1\r\n%s\r\n", len(piece), piece)
	}
	return b.String()
}

func TestConn_CountsAcrossReadBoundaries(t *testing.T) {
	t.Parallel()
	plain := head + "\r\n" + body(1, 2, 3)
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n"
	for _, answer := range []string{plain, chunked + inChunks(body(1, 2, 3), 1000), chunked + inChunks(body(1, 2, 3), 7)} {
		for size := 1; size <= len(answer); size++ {
			c, tally := new(conn), newResult()
			for rest := []byte(answer); len(rest) > 0; {
				n := min(size, len(rest))
				if err := c.receive(bytes.Clone(rest[:n]), &tally, 0, time.UnixMilli(1000).UnixNano()); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if tally.Messages != 3 || tally.Wrong != 0 || tally.Slowest != 3*time.Millisecond || len(c.partial) > 0 {
				t.Fatalf("reads of %d bytes: got %+v and unread %q", size, tally, c.partial)
			}
		}
	}
}

func TestConn_DetectsWrongOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		numbers []int64
		want    int64
	}{
		{"in turn, from anywhere", []int64{7, 8, 9}, 0},
		{"one missing", []int64{1, 2, 4}, 1},
		{"one twice", []int64{1, 2, 2, 3}, 1},
		{"two exchanged", []int64{1, 3, 2, 4}, 3},
	} {
		c, tally := &conn{open: true}, newResult()
		if err := c.receive([]byte(body(test.numbers...)), &tally, 0, 0); err != nil || tally.Wrong != test.want {
			t.Errorf("%s: got %d wrong messages, want %d, error %v", test.name, tally.Wrong, test.want, err)
		}
	}
}

func TestConn_IgnoresOldMessages(t *testing.T) {
	t.Parallel()
	c, tally := &conn{open: true}, newResult()
	since := time.UnixMilli(998).UnixNano()
	if err := c.receive([]byte(body(1, 2, 3)), &tally, since, since); err != nil || tally.Messages != 2 {
		t.Errorf("got %+v, error %v", tally, err)
	}
}

func TestConn_CountsHeartbeats(t *testing.T) {
	t.Parallel()
	c, tally := &conn{open: true}, newResult()
	if err := c.receive([]byte(body()), &tally, 0, 0); err != nil || tally.Pings != 1 || tally.Messages != 0 {
		t.Errorf("got %+v, error %v", tally, err)
	}
}

func TestConn_OtherStatusIsError(t *testing.T) {
	t.Parallel()
	c, tally := new(conn), newResult()
	err := c.receive([]byte("HTTP/1.1 401 Unauthorized\r\n\r\n"), &tally, 0, 0)
	if err == nil || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("got error %v", err)
	}
}

func TestMessage_HasItsSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 1000} {
		if m := newMessage(12, time.Now(), size); len(m) != size {
			t.Errorf("message of %d bytes: got %d: %s", size, len(m), m)
		}
	}
}
