package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"sluice/internal/audit"
)

// faultyServer is a small server that follows the contract, except that its fault replaces the
// block of the n-th message by zero or more blocks.
type faultyServer struct {
	fault func(n int, block string) string

	mu     sync.Mutex
	grown  *sync.Cond
	closed bool
	blocks []string
}

func startFaulty(t *testing.T, fault func(n int, block string) string) string {
	t.Helper()
	l := &faultyServer{fault: fault}
	l.grown = sync.NewCond(&l.mu)
	s := httptest.NewServer(l)
	t.Cleanup(func() {
		l.mu.Lock()
		l.closed = true
		l.grown.Broadcast()
		l.mu.Unlock()
		s.Close()
	})
	return s.URL
}

func (l *faultyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		data, _ := io.ReadAll(r.Body)
		l.mu.Lock()
		defer l.mu.Unlock()
		n := len(l.blocks) + 1
		l.blocks = append(l.blocks, l.fault(n, fmt.Sprintf("id: %d\ndata: %s\n\n", n, data)))
		l.grown.Broadcast()
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "id: 0\nevent: stream.open\ndata: {}\n\n")
	w.(http.Flusher).Flush()
	for sent := 0; ; sent++ {
		l.mu.Lock()
		for sent == len(l.blocks) && !l.closed {
			l.grown.Wait()
		}
		if l.closed {
			l.mu.Unlock()
			return
		}
		block := l.blocks[sent]
		l.mu.Unlock()
		if _, err := io.WriteString(w, block); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}

func gapBlock(topic, lost string) string {
	return fmt.Sprintf("event: stream.gap\ndata: {\"topic\":%q,\"reason\":\"source-interrupted\",\"lost\":%s}\n\n", topic, lost)
}

func TestBench_DetectsFaultyServer(t *testing.T) {
	t.Parallel()
	const subscribers = 3
	var delayed sync.Map // delayed blocks, by test
	for _, test := range []struct {
		name, topic string
		fault       func(n int, block string) string
		want        audit.Result // of one subscriber, except Received
	}{
		{"one is missing", "stream:b", func(n int, block string) string {
			if n == 5 {
				return ""
			}
			return block
		}, audit.Result{Lost: 1}},
		{"the first is missing", "channel:b", func(n int, block string) string {
			if n == 1 {
				return ""
			}
			return block
		}, audit.Result{Lost: 1}},
		{"one is repeated", "channel:b", func(n int, block string) string {
			if n == 5 {
				return block + block
			}
			return block
		}, audit.Result{Duplicates: 1}},
		{"two are exchanged", "channel:b", func(n int, block string) string {
			switch n {
			case 5:
				delayed.Store("exchanged", block)
				return ""
			case 6:
				first, _ := delayed.Load("exchanged")
				return block + first.(string)
			}
			return block
		}, audit.Result{OutOfOrder: 1}},
		{"a gap gives a wrong count", "stream:b", func(n int, block string) string {
			switch n {
			case 5, 6:
				return ""
			case 7:
				return gapBlock("stream:b", "3") + block
			}
			return block
		}, audit.Result{Gaps: 1, Announced: 2, WrongCounts: 1}},
		{"a gap is at another position", "channel:b", func(n int, block string) string {
			switch n {
			case 5:
				return ""
			case 9:
				return gapBlock("channel:b", "null") + block
			}
			return block
		}, audit.Result{Lost: 1, Gaps: 1}},
		{"a key goes back", "key:b", func(n int, block string) string {
			switch n {
			case 5:
				delayed.Store("back", block)
			case 9:
				first, _ := delayed.Load("back")
				return block + first.(string)
			}
			return block
		}, audit.Result{OutOfOrder: 1}},
		{"a key keeps an older value", "key:b", func(n int, block string) string {
			if n >= 5 {
				return ""
			}
			return block
		}, audit.Result{WrongFinal: 1}},
		{"events have the id of another topic", "channel:b", func(n int, block string) string {
			if n == 5 {
				return strings.Replace(block, "channel:b", "channel:c", 1)
			}
			return block
		}, audit.Result{Lost: 1, Misplaced: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, r, stderr := runBench(t,
				"--target", startFaulty(t, test.fault), "--publish-http", "--topics", test.topic,
				"--subscribers", fmt.Sprint(subscribers), "--rate", "500", "--duration", "500ms", "--patience", "1500ms")
			kind, _, _ := strings.Cut(test.topic, ":")
			got := r.Audit[kind]
			got.Received = 0
			var want audit.Result
			for range subscribers {
				want.Add(test.want)
			}
			if status != exitBroken || r.Kept || got != want {
				t.Errorf("got status %d, audit\n%+v, want\n%+v\n%s", status, got, want, stderr)
			}
		})
	}
}

func TestBench_AcceptsCorrectGap(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"2", "null"} {
		t.Run("lost="+lost, func(t *testing.T) {
			t.Parallel()
			status, r, stderr := runBench(t, "--target", startFaulty(t, func(n int, block string) string {
				switch n {
				case 5, 6:
					return ""
				case 7:
					return gapBlock("channel:b", lost) + block
				}
				return block
			}), "--publish-http", "--topics", "channel:b", "--subscribers", "2", "--rate", "500", "--duration", "500ms")
			if a := r.Audit["channel"]; status != exitKept || a.Gaps != 2 || a.Announced != 4 {
				t.Errorf("got status %d, audit %+v\n%s", status, a, stderr)
			}
		})
	}
}
