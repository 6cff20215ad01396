package abuse_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"sluice/internal/test/redistest"
)

// http2Conn is a connection to the gateway with hand-written frames.
type http2Conn struct {
	conn   net.Conn
	frames *http2.Framer
}

// dialHTTP2 opens a connection with a window of zero: responses begin but send no data.
func (g *gateway) dialHTTP2() (*http2Conn, error) {
	conn, err := net.DialTimeout("tcp", g.Addr(), testTimeout)
	if err != nil {
		return nil, err
	}
	g.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(3 * testTimeout))
	return beginHTTP2(conn, 0)
}

// beginHTTP2 sends the preface on a connection. window is the flow-control window of each response.
func beginHTTP2(conn net.Conn, window uint32) (*http2Conn, error) {
	c := &http2Conn{conn, http2.NewFramer(conn, conn)}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return c, err
	}
	return c, c.frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
}

// get sends a request on a new stream.
func (c *http2Conn) get(stream uint32, path string) error {
	return c.begin(stream, path, true)
}

// begin sends the header of a request. A body follows unless ends is true.
func (c *http2Conn) begin(stream uint32, path string, ends bool) error {
	var block bytes.Buffer
	header := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "localhost"}, {Name: ":path", Value: path},
	} {
		if err := header.WriteField(f); err != nil {
			return err
		}
	}
	return c.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: ends})
}

// next returns the next frame of a kind and answers pings.
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

// answered waits for the header of a response.
func (c *http2Conn) answered(stream uint32) error {
	for {
		frame, err := c.next(http2.FrameHeaders)
		if err != nil || frame.Header().StreamID == stream {
			return err
		}
	}
}

// taken waits until the gateway has read all frames.
func (c *http2Conn) taken() error {
	if err := c.frames.WritePing(false, [8]byte{}); err != nil {
		return err
	}
	for {
		frame, err := c.next(http2.FramePing)
		if err != nil || frame.(*http2.PingFrame).IsAck() {
			return err
		}
	}
}

// hangHTTP2 opens connections, calls begin on each and keeps them idle until the test ends. The
// gateway may close them.
func (g *gateway) hangHTTP2(n int, begin func(*http2Conn) error) {
	g.t.Helper()
	parallel(n, func() {
		c, err := g.dialHTTP2()
		if c == nil {
			g.t.Error(err)
			return
		}
		_ = begin(c)
	})
}

func TestAbuse_HTTP2ConnectionsOutliveStreams(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.withstands(func() {
		g.hangHTTP2(flood, func(c *http2Conn) error {
			if err := c.get(1, "/stats"); err != nil { // keeps the connection busy
				return err
			}
			if err := c.get(3, "/events"); err != nil {
				return err
			}
			if err := c.answered(3); err != nil {
				return err
			}
			return c.frames.WriteRSTStream(3, http2.ErrCodeCancel)
		})
	})
}

func TestAbuse_HTTP2SubscriptionBodiesAreDiscarded(t *testing.T) {
	t.Parallel()
	g := start(t)
	inside := g.subscribe("")
	before := g.heap()
	const connections, half = 160, 120 << 10 // bytes that the gateway accepts on a connection
	body := make([]byte, half/8)
	sendHalf := func(c *http2Conn) error {
		for range 8 {
			if err := c.frames.WriteData(1, false, body); err != nil {
				return err
			}
		}
		return nil
	}
	var staying sync.WaitGroup
	t.Cleanup(staying.Wait)
	g.hangHTTP2(connections, func(c *http2Conn) error {
		err := errors.Join(c.begin(1, "/events", false), c.frames.WriteWindowUpdate(1, 1<<20), sendHalf(c), c.answered(1), sendHalf(c), c.taken())
		if err != nil {
			t.Error(err)
		}
		staying.Go(func() { _, _ = c.next(http2.FrameGoAway) }) // until the connection is closed
		return err
	})
	const most = connections * 2 * half / 4
	await(t, "what they sent is let go", func() bool { return g.heap()-before < most })
	if n := g.Connections(); n != connections+1 {
		t.Errorf("got %d open subscriptions, want %d", n, connections+1)
	}
	g.served("after that", inside)
}

func TestAbuse_HTTP2UnreadFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"index.html", "large.js"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := start(t, "--web-dir="+dir)
	const connections, streams = 16, 100 // three times the descriptor limit, on few connections
	g.withstands(func() {
		g.hangHTTP2(connections, func(c *http2Conn) error {
			for i := range uint32(streams) {
				if err := c.get(2*i+1, []string{"/", "/large.js"}[i%2]); err != nil {
					return err
				}
			}
			for range streams {
				if _, err := c.next(http2.FrameHeaders); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func TestAbuse_HTTP2UnreadResponses(t *testing.T) {
	t.Parallel()
	g := start(t)
	inside := g.subscribe("")
	const connections, streams, most = 24, 120, 2048
	var ended atomic.Int32
	var reading sync.WaitGroup
	defer reading.Wait()
	for range connections {
		c, err := g.dialHTTP2()
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint32(streams) {
			_ = c.get(2*i+1, "/stats") // the connection may be closed
		}
		reading.Go(func() {
			_, _ = c.next(http2.FrameGoAway) // until the connection is closed
			ended.Add(1)
		})
		defer c.conn.Close()
	}
	const over = (connections*streams - most) / streams
	await(t, "those with the most of them are cut off", func() bool { return ended.Load() >= over })
	g.served("to those inside", inside)
}

func TestAbuse_HTTP2BoundsStreamsPerConnection(t *testing.T) {
	t.Parallel()
	g := start(t)
	c, err := g.dialHTTP2()
	if err != nil {
		t.Fatal(err)
	}
	const asked, tabs = 200, 100
	for i := range uint32(asked) {
		if err := c.get(2*i+1, "/events"); err != nil {
			t.Fatal(err)
		}
	}
	served, refused := 0, 0
	for served+refused < asked {
		frame, err := c.next(http2.FrameHeaders, http2.FrameRSTStream)
		if err != nil {
			t.Fatalf("after %d served and %d rejected: %v", served, refused, err)
		}
		if frame.Header().Type == http2.FrameHeaders {
			served++
		} else if code := frame.(*http2.RSTStreamFrame).ErrCode; code == http2.ErrCodeRefusedStream {
			refused++
		} else {
			t.Fatalf("a stream ends with %s", code)
		}
	}
	if served < tabs || refused == 0 {
		t.Errorf("got %d concurrent streams served and %d rejected", served, refused)
	}
}

func TestAbuse_HTTP2ClosesUnreadResponses(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	t.Parallel()
	g := start(t)
	c, err := g.dialHTTP2()
	if err != nil {
		t.Fatal(err)
	}
	const following, refused, stalled = 1, 3, 5 // numbers of streams; the oldest must stay open
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	try(c.get(following, "/events"))
	try(c.frames.WriteWindowUpdate(following, 1<<20))
	try(c.answered(following))
	try(c.get(refused, "/events?channel=secret"))
	try(c.get(stalled, "/stats"))
	var cut []uint32
	for len(cut) < 2 {
		frame, err := c.next(http2.FrameRSTStream)
		if err != nil {
			t.Fatalf("after the end of %v: %v", cut, err)
		}
		cut = append(cut, frame.Header().StreamID)
	}
	slices.Sort(cut)
	if !slices.Equal(cut, []uint32{refused, stalled}) {
		t.Fatalf("got streams %v closed", cut)
	}
	if err := g.direct.Publish(t.Context(), "updates", "still here").Err(); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := c.next(http2.FrameData, http2.FrameRSTStream)
		if err != nil {
			t.Fatal(err)
		}
		data, ok := frame.(*http2.DataFrame)
		if !ok {
			t.Fatalf("the event stream ends with %s", frame)
		}
		if bytes.Contains(data.Data(), []byte("still here")) {
			return
		}
	}
}

func TestAbuse_HTTP2ClosesSlowReaders(t *testing.T) {
	t.Parallel()
	g := start(t, "--write-timeout=2s")
	inside := g.subscribe("")
	c, err := g.dialHTTP2()
	if err != nil {
		t.Fatal(err)
	}
	const slow = 1
	if err := errors.Join(c.get(slow, "/events"), c.answered(slow)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var sipping sync.WaitGroup
	defer sipping.Wait()
	defer close(done)
	sipping.Go(func() {
		eachSecond(done, func() error { return c.frames.WriteWindowUpdate(slow, 1) })
	})
	frame, err := c.next(http2.FrameRSTStream)
	if err != nil || frame.Header().StreamID != slow {
		t.Fatalf("the stream was not closed: %v, %v", frame, err)
	}
	await(t, "it is counted as slow", func() bool { return g.stats().SlowClients == 1 })
	g.served("after that", inside)
}

func TestAbuse_ErrorsLogFewLines(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	g := startTLS(t, authority)
	const resets, handshakes, most = 3000, 500, 200
	config := authority.Client()
	config.NextProtos = []string{"h2"}
	for range handshakes {
		conn := g.dial()
		_, _ = io.WriteString(conn, "no handshake\n") // the gateway may close it first
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
	}
	c, err := beginHTTP2(tls.Client(g.dial(), config), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(resets) {
		stream := 2*i + 1
		if err := errors.Join(c.get(stream, "/events"), c.answered(stream), c.frames.WriteRSTStream(stream, http2.ErrCodeCancel)); err != nil {
			t.Fatal(err)
		}
	}
	for message, events := range map[string]int{`"http server"`: handshakes, "subscribed": resets, "unsubscribed": resets} {
		lines := func() int { return strings.Count(g.Log(), "msg="+message+" ") }
		suppressed := regexp.MustCompile(`msg="log lines suppressed" message=` + message + ` count=(\d+)`)
		await(t, "all lines of "+message+" are logged or counted", func() bool {
			sum := lines()
			for _, report := range suppressed.FindAllStringSubmatch(g.Log(), -1) {
				n, _ := strconv.Atoi(report[1]) // digits only
				sum += n
			}
			return sum >= events
		})
		if n := lines(); n > most {
			t.Errorf("got %d lines of %s", n, message)
		}
	}
}
