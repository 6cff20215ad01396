package abuse_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"sluice/internal/test/proctest"
)

// vanish opens connections, calls begin on each and then drops all their packets: the gateway gets
// no FIN, no RST and no acknowledgement. (Connections that never finish the TCP handshake are
// handled by the kernel alone.)
func (g *gateway) vanish(n int, begin func(net.Conn) error) {
	g.t.Helper()
	parallel(n, func() {
		conn, err := net.DialTimeout("tcp", g.Addr(), testTimeout)
		if err != nil {
			g.t.Error(err)
			return
		}
		g.t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(testTimeout))
		_ = begin(conn) // the connection may be closed
		if err := proctest.DropInput(conn.(*net.TCPConn)); err != nil {
			g.t.Error(err)
		}
	})
}

func TestAbuse_HalfOpenConnectionFloods(t *testing.T) {
	t.Parallel()
	// A rejected connection may stay open for another request until the idle timeout.
	const waiting = descriptors / 16
	for name, tt := range map[string]struct {
		begin func(net.Conn) error
		stay  int // how many stay for longer than the test
	}{
		"said nothing":           {func(net.Conn) error { return nil }, 0},
		"said half a request":    {func(c net.Conn) error { _, err := io.WriteString(c, "GET /events HT"); return err }, 0},
		"subscribed":             {func(c net.Conn) error { return answered(c, "http/1.1") }, waiting},
		"subscribed over HTTP/2": {func(c net.Conn) error { return answered(c, "h2") }, waiting},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, "--heartbeat=1s", "--write-timeout=1s")
			inside := g.subscribe("")
			before := g.Descriptors()
			most := g.peak(func() {
				g.vanish(flood, tt.begin)
				if err := g.direct.Publish(t.Context(), "updates", "for those inside").Err(); err != nil {
					t.Fatal(err)
				}
				if got := inside.next(); got != "for those inside" {
					t.Errorf("earlier subscriber: got %q", got)
				}
			})
			if most > descriptors-spare {
				t.Errorf("got %d open files of %d", most, descriptors)
			}
			await(t, "seats come back", func() bool { return g.Connections() == 1 })
			await(t, "descriptors come back", func() bool { return g.Descriptors() <= before+tt.stay })
			g.served("after that", inside)
		})
	}
}

// answered subscribes over a protocol and waits for the response.
func answered(conn net.Conn, protocol string) error {
	err := follow(conn, protocol)
	_, readErr := io.ReadAtLeast(conn, make([]byte, 512), 100)
	return errors.Join(err, readErr)
}
