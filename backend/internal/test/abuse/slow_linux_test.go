package abuse_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"

	"sluice/internal/test/redistest"
)

// dialNarrow is like dial, with a receive buffer so small that each read is visible progress.
func (g *gateway) dialNarrow() net.Conn {
	g.t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10) })
		return err
	}}
	conn, err := dialer.DialContext(g.t.Context(), "tcp", g.Addr())
	if err != nil {
		g.t.Fatal(err)
	}
	return conn
}

// --write-timeout never closes a client that reads slowly but steadily. If each of them could hold
// the memory of a page, a few could block the replays of all others.
func TestAbuse_SlowReadersDoNotBlockReplays(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	args := []string{"--topic-memory=16MiB", "--history-bytes=1MiB", "--write-timeout=2s", "--allow-subscribe=stream:*"}
	for name, g := range map[string]*gateway{
		"plain HTTP": start(t, args...),
		"TLS":        startTLS(t, authority, args...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const entries, slow = 8, 4
			large := strings.Repeat("x", 2<<20)
			for i := range entries {
				if err := g.direct.XAdd(t.Context(), &redis.XAddArgs{Stream: "large", Values: []any{"data", fmt.Sprint(i, large)}}).Err(); err != nil {
					t.Fatal(err)
				}
			}
			holding := make(chan struct{}, slow)
			var readers sync.WaitGroup
			defer readers.Wait()
			done := make(chan struct{})
			defer close(done)
			for range slow {
				conn := g.dialNarrow()
				if name == "TLS" {
					conn = tls.Client(conn, authority.Client())
				}
				if _, err := io.WriteString(conn, "GET /events?stream=large&lastEventId=0-0 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				readers.Go(func() {
					if _, err := io.ReadFull(conn, make([]byte, 4<<10)); err != nil { // a part of the first entry
						return
					}
					holding <- struct{}{}
					for some := make([]byte, 512); ; {
						select {
						case <-time.After(100 * time.Millisecond):
						case <-done:
							return
						}
						if _, err := conn.Read(some); err != nil {
							return
						}
					}
				})
			}
			<-holding // there is memory for the entries of two clients
			<-holding
			other := g.subscribe("?stream=large&lastEventId=0-0")
			for i := range entries {
				if got := other.next(); !strings.HasPrefix(got, fmt.Sprint(i, "x")) {
					t.Fatalf("entry %d begins with %.20q", i, got)
				}
			}
		})
	}
}
