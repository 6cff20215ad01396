package abuse_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/test/redistest"
)

// flood is the number of connections of a flood, more than the gateway may have files open.
const flood = 3 * descriptors

// parallel calls do n times on many goroutines.
func parallel(n int, do func()) {
	const atOnce = 8
	var doing sync.WaitGroup
	for range atOnce {
		doing.Go(func() {
			for range n / atOnce {
				do()
			}
		})
	}
	doing.Wait()
}

// hang opens connections that begin in some way and then send no more until the test ends.
func (g *gateway) hang(n int, begin string) {
	g.t.Helper()
	parallel(n, func() {
		conn, err := net.DialTimeout("tcp", g.Addr(), testTimeout)
		if err != nil {
			g.t.Error(err)
			return
		}
		g.t.Cleanup(func() { conn.Close() })
		_, _ = io.WriteString(conn, begin) // the gateway may have closed it
	})
}

// spare is the number of descriptors that a flood must leave free.
const spare = 64

// withstands checks that the flooded gateway still serves and always has free descriptors: it can
// even connect to Redis again.
func (g *gateway) withstands(flood func()) {
	g.t.Helper()
	inside := g.subscribe("")
	most := g.peak(func() {
		flood()
		g.served("while it is flooded", inside) // a new connection waits behind those of the flood
	})
	if most > descriptors-spare {
		g.t.Errorf("got %d open files of %d", most, descriptors)
	}
	if a := g.get("/healthz"); a.status != http.StatusOK {
		g.t.Errorf("/healthz: got status %d", a.status)
	}
	if err := g.direct.Do(g.t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		g.t.Fatal(err)
	}
	if got := inside.next(); !strings.Contains(got, "source-interrupted") {
		g.t.Errorf("got %.200q, want a gap", got)
	}
	g.served("on another connection to Redis", inside)
}

func TestAbuse_ConnectionFloods(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{
		"say nothing":                    "",
		"say half a request (slowloris)": "GET /events HTTP/1.1\r\nHost: localhost\r\nX-A: ",
		"say half a method":              "GE",
		"stay open after a request":      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"never send their body":          "POST /events?channel=updates HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
		"begin with HTTP/2":              "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"begin with TLS":                 "\x16\x03\x01\x02\x00\x01",
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t)
			g.withstands(func() { g.hang(flood, begin) })
		})
	}
}

func TestAbuse_SubscriptionFlood(t *testing.T) {
	t.Parallel()
	g := start(t)
	inside := g.subscribe("")
	most := g.peak(func() {
		g.hang(flood, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		await(t, "new clients are rejected", g.isFull) // the flood has reached the limit
	})
	if most > descriptors-spare {
		t.Errorf("got %d open files of %d", most, descriptors)
	}
	if a := g.get("/events?channel=secret"); a.status != http.StatusUnauthorized {
		t.Errorf("topic that is not open: got status %d", a.status)
	}
	if a := g.get("/readyz"); a.status != http.StatusOK {
		t.Errorf("/readyz: got status %d, body %s", a.status, a.body)
	}
	if err := g.direct.Publish(t.Context(), "updates", "for those inside").Err(); err != nil {
		t.Fatal(err)
	}
	if got := inside.next(); got != "for those inside" {
		t.Errorf("earlier subscriber: got %q", got)
	}
}

// isFull reports whether the gateway rejects a new subscription.
func (g *gateway) isFull() bool {
	g.t.Helper()
	got := g.send("\n\n", "GET /events HTTP/1.1", "Host: localhost", "Accept: text/event-stream")
	return strings.Contains(got, `{"reason":"overloaded"}`)
}

func TestAbuse_ClosesSlowRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	t.Parallel()
	g := start(t, opened...)
	var clients sync.WaitGroup // all clients at once, however many tests run in parallel
	for name, tt := range map[string]struct{ begin, drop, answer string }{
		"headers":         {"GET /events HTTP/1.1\r\nHost: localhost\r\n", "X-A: a\r\n", ""},
		"one header":      {"GET /events HTTP/1.1\r\nHost: localhost\r\nX-A: ", "a", ""},
		"a body":          {"POST /events?channel=a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", "x", "HTTP/1.1 408"},
		"chunks":          {"POST /events?channel=a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", "HTTP/1.1 408"},
		"a rejected body": {"POST /events?channel= HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", "x", ""},
	} {
		conn := g.dial()
		clients.Go(func() {
			if got, ended := drip(conn, tt.begin, tt.drop); !ended {
				t.Errorf("%s: the connection was not closed", name)
			} else if !strings.HasPrefix(got, tt.answer) {
				t.Errorf("%s: got response %.200q", name, got)
			}
		})
	}
	clients.Wait()
}

// drip sends a request in small parts and returns the response when the gateway has closed the
// connection.
func drip(conn net.Conn, begin, drop string) (got string, ended bool) {
	_ = conn.SetDeadline(time.Time{}) // a deadline would look like a close by the gateway
	_, _ = io.WriteString(conn, begin)
	end := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(conn) // up to the end or an error
		end <- string(text)
	}()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(2 * testTimeout)
	for {
		select {
		case got := <-end:
			return got, true
		case <-tick.C:
			_, _ = io.WriteString(conn, drop) // the connection may be closed
		case <-timeout:
			conn.Close()
			<-end
			return "", false
		}
	}
}

func TestAbuse_PublishFlood(t *testing.T) {
	t.Parallel()
	g := start(t, "--allow-publish=channel:updates", "--publish-rate=5")
	inside := g.subscribe("")
	const burst, publishers, each = 50, 8, 100
	var mu sync.Mutex
	taken := 0
	began := time.Now()
	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for n := range each {
				a, err := g.try(http.MethodPost, "/events?channel=updates", strings.NewReader("flood"), "X-Forwarded-For", fmt.Sprintf("203.0.%d.%d", p, n)) // X-Forwarded-For of an untrusted proxy
				switch {
				case err != nil:
					t.Error(err)
				case a.status == http.StatusOK:
					mu.Lock()
					taken++
					mu.Unlock()
				case a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "":
					t.Errorf("a publish: got status %d, body %s", a.status, a.body)
				}
			}
		})
	}
	for range burst { // the channel has a small buffer, so each subscriber is read in turn
		if got := inside.next(); got != "flood" {
			t.Errorf("open subscription: got %q", got)
		}
	}
	go func() {
		for range inside.data {
		}
	}()
	publishing.Wait()
	if allowed := burst + 5*int(time.Since(began)/time.Second+1); taken > allowed {
		t.Errorf("got %d of %d publishes, want at most %d", taken, publishers*each, allowed)
	}
}

func TestAbuse_ClosesSlowReaders(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	for name, protocol := range map[string]string{"HTTP/1.1": "http/1.1", "HTTP/2": "h2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, "--write-timeout=2s")
			conn := g.dial()
			g.closesSlowReader(conn, conn, protocol)
		})
		t.Run(name+" over TLS", func(t *testing.T) {
			t.Parallel()
			g := startTLS(t, authority, "--write-timeout=2s")
			conn := g.dial()
			g.closesSlowReader(conn, tls.Client(conn, authority.Client(protocol)), protocol)
		})
	}
}

// closesSlowReader checks that the gateway closes a client that subscribes and then reads a byte
// per second, and that it serves others. encrypted is the connection below TLS, or conn itself.
func (g *gateway) closesSlowReader(conn, encrypted net.Conn, protocol string) {
	g.t.Helper()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	if err := follow(encrypted, protocol); err != nil {
		g.t.Fatal(err)
	}
	done := make(chan struct{})
	var sipping sync.WaitGroup
	sipping.Go(func() {
		one := make([]byte, 1)
		eachSecond(done, func() error {
			_, err := conn.Read(one)
			return err
		})
	})
	defer sipping.Wait()
	defer close(done)
	await(g.t, "it is subscribed", func() bool { return g.Connections() == 1 })
	inside := g.subscribe("")
	payload := strings.Repeat("x", 64<<10)
	for i := range 300 { // more than the socket buffers and the journal hold
		if err := g.direct.Publish(g.t.Context(), "updates", fmt.Sprint(i, payload)).Err(); err != nil {
			g.t.Fatal(err)
		}
		if got := inside.next(); !strings.HasPrefix(got, fmt.Sprint(i, "x")) {
			g.t.Fatalf("want event %d, got %.100q", i, got)
		}
	}
	await(g.t, "it is cut off", func() bool { return g.stats().SlowClients == 1 && g.Connections() == 1 })
	g.served("after that", inside)
}

// follow subscribes over a protocol.
func follow(conn net.Conn, protocol string) error {
	if protocol != "h2" {
		_, err := io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		return err
	}
	const window = 1 << 30 // the connection is slow, not the stream
	c, err := beginHTTP2(conn, window)
	if err != nil {
		return err
	}
	return errors.Join(c.frames.WriteWindowUpdate(0, window), c.get(1, "/events"))
}

// eachSecond calls do each second until it fails or done is closed.
func eachSecond(done <-chan struct{}, do func() error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for do() == nil {
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
}

func TestAbuse_FloodEvictsOwnAddressOnly(t *testing.T) {
	t.Parallel()
	g := start(t)
	slow := g.dial() // sends its request after the flood
	defer slow.Close()
	flooder := net.Dialer{Timeout: testTimeout, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	parallel(flood, func() {
		conn, err := flooder.DialContext(t.Context(), "tcp", g.Addr())
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { conn.Close() })
	})
	await(t, "the flood is accepted", func() bool {
		conn, err := flooder.DialContext(t.Context(), "tcp", g.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") // the connection may be evicted
		n, _ := conn.Read(make([]byte, 1))
		return n == 1
	})
	_ = slow.SetDeadline(time.Now().Add(testTimeout))
	if _, err := io.WriteString(slow, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("client of another address: got %v, error %v", response, err)
	}
}
