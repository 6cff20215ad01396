package abuse_test

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Conn is a connection to the gateway on which frames are written by hand. It takes
// no data: answers begin and do not go on.
type http2Conn struct {
	conn   net.Conn
	frames *http2.Framer
}

func (g *gateway) dialHTTP2() (*http2Conn, error) {
	conn, err := net.DialTimeout("tcp", g.addr, patience)
	if err != nil {
		return nil, err
	}
	g.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(3 * patience))
	c := &http2Conn{conn, http2.NewFramer(conn, conn)}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return c, err
	}
	return c, c.frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
}

// get sends a request as a stream of its own.
func (c *http2Conn) get(stream uint32, path string) error {
	var block bytes.Buffer
	header := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "localhost"}, {Name: ":path", Value: path},
	} {
		if err := header.WriteField(f); err != nil {
			return err
		}
	}
	return c.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
}

// next returns the next frame of a kind, and answers pings on the way to it.
func (c *http2Conn) next(kinds ...http2.FrameType) (http2.Frame, error) {
	for {
		frame, err := c.frames.ReadFrame()
		if err != nil {
			return nil, err
		}
		if ping, ok := frame.(*http2.PingFrame); ok && !ping.IsAck() {
			if err := c.frames.WritePing(true, ping.Data); err != nil {
				return nil, err
			}
		}
		if slices.Contains(kinds, frame.Header().Type) {
			return frame, nil
		}
	}
}

// hangHTTP2 opens connections that each do something, and do nothing more until the test
// ends. The gateway may end them meanwhile.
func (g *gateway) hangHTTP2(n int, begin func(*http2Conn) error) {
	g.t.Helper()
	var opening sync.WaitGroup
	for range 8 {
		opening.Go(func() {
			for range n / 8 {
				c, err := g.dialHTTP2()
				if c == nil {
					g.t.Error(err)
					return
				}
				_ = begin(c)
			}
		})
	}
	opening.Wait()
}

func TestAbuse_HTTP2ConnectionsThatOutliveTheirEventStreams(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.withstands(func() {
		g.hangHTTP2(flood, func(c *http2Conn) error {
			if err := c.get(1, "/stats"); err != nil { // which keeps it busy
				return err
			}
			if err := c.get(3, "/events"); err != nil {
				return err
			}
			for answered := uint32(0); answered != 3; {
				frame, err := c.next(http2.FrameHeaders)
				if err != nil {
					return err
				}
				answered = frame.Header().StreamID
			}
			return c.frames.WriteRSTStream(3, http2.ErrCodeCancel)
		})
	})
}
