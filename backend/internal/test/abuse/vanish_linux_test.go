package abuse_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"sluice/internal/test/proctest"
)

// vanish opens connections that begin in some way and then are cut off from the gateway,
// which is not told: no FIN and no RST comes, and no acknowledgement. (Those that never
// finish the handshake of TCP are not seen by the gateway, but by the kernel alone.)
func (g *gateway) vanish(n int, begin func(net.Conn) error) {
	g.t.Helper()
	crowd(n, func() {
		conn, err := net.DialTimeout("tcp", g.Addr(), patience)
		if err != nil {
			g.t.Error(err)
			return
		}
		g.t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		_ = begin(conn) // it may be ended already
		if err := proctest.CutLine(conn.(*net.TCPConn)); err != nil {
			g.t.Error(err)
		}
	})
}

func TestAbuse_FloodsOfHalfOpenConnectionsThat(t *testing.T) {
	t.Parallel()
	// A rejected connection may stay for another request until it is idle for too long.
	const waiting = descriptors / 16
	for name, tt := range map[string]struct {
		begin func(net.Conn) error
		stay  int // of them, for longer than the test
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
					t.Errorf("who was there before gets %q", got)
				}
			})
			if most > descriptors-spare {
				t.Errorf("the gateway had %d files open, of %d", most, descriptors)
			}
			await(t, "seats come back", func() bool { return g.Connections() == 1 })
			await(t, "descriptors come back", func() bool { return g.Descriptors() <= before+tt.stay })
			g.served("after that", inside)
		})
	}
}

// answered subscribes in a protocol, and returns when that is answered.
func answered(conn net.Conn, protocol string) error {
	err := follow(conn, protocol)
	_, readErr := io.ReadAtLeast(conn, make([]byte, 512), 100)
	return errors.Join(err, readErr)
}
