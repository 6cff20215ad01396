package abuse_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/test/gatewaytest"
	"sluice/internal/test/proctest"
	"sluice/internal/test/redistest"
)

// testTimeout bounds every wait of a test.
const testTimeout = 60 * time.Second

func TestMain(m *testing.M) {
	os.Exit(gatewaytest.Run(m))
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	proctest.Await(t, testTimeout, what, holds)
}

// descriptors is the number of files that a gateway may have open in these tests. It is small, so a
// test can easily exceed it.
const descriptors = 512

// gateway is a gateway with a new Redis server or with its embedded broker.
type gateway struct {
	*gatewaytest.Gateway
	t      *testing.T
	redis  *redistest.Server // nil for the embedded broker
	direct *redis.Client     // of redis
	client *http.Client
}

// start starts a gateway with default settings and further arguments.
func start(t *testing.T, args ...string) *gateway {
	t.Helper()
	server := redistest.Start(t)
	return newGateway(t, server, gatewaytest.StartLimited(t, descriptors, append([]string{"--redis-url", server.URL()}, args...)...), nil)
}

// startTLS is like start, for a gateway that listens with TLS and has no limit of open files.
func startTLS(t *testing.T, authority *redistest.Authority, args ...string) *gateway {
	t.Helper()
	server := redistest.Start(t)
	return newGateway(t, server, gatewaytest.StartTLS(t, authority, append([]string{"--redis-url", server.URL()}, args...)...), authority.Client())
}

// newGateway returns a gateway on the given Redis, or on its embedded broker if server is nil.
func newGateway(t *testing.T, server *redistest.Server, g *gatewaytest.Gateway, trust *tls.Config) *gateway {
	all := &gateway{
		Gateway: g, t: t, redis: server,
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: trust}},
	}
	if server != nil {
		all.direct = server.Client()
	}
	return all
}

// peak returns the maximum number of files that the gateway has open during a function.
func (g *gateway) peak(happens func()) (most int) {
	g.t.Helper()
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			most = max(most, g.Descriptors())
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	defer watching.Wait()
	defer close(done)
	happens()
	return // the process ends at the end of the test
}

// answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

// do is like try, for requests that always get a response.
func (g *gateway) do(method, path string, body io.Reader, header ...string) answer {
	g.t.Helper()
	a, err := g.try(method, path, body, header...)
	if err != nil {
		g.t.Fatalf("%s %.100s: %v", method, path, err)
	}
	return a
}

// try sends a request with pairs of a header name and value, and reads the whole response. The
// gateway may close the connection before it has read all of a rejected request.
func (g *gateway) try(method, path string, body io.Reader, header ...string) (answer, error) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.URL()+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

func (g *gateway) get(path string, header ...string) answer {
	g.t.Helper()
	return g.do(http.MethodGet, path, nil, header...)
}

// dial opens a raw connection.
func (g *gateway) dial() net.Conn {
	g.t.Helper()
	conn, err := net.DialTimeout("tcp", g.Addr(), testTimeout)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * testTimeout))
	return conn
}

// send writes a raw request, line by line. It returns the response up to the close of the
// connection or up to enough.
func (g *gateway) send(enough string, lines ...string) string {
	g.t.Helper()
	conn := g.dial()
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n") }() // the connection may be closed
	var got strings.Builder
	for buf := make([]byte, 4<<10); ; {
		n, err := conn.Read(buf)
		got.Write(buf[:n])
		if err != nil || enough != "" && strings.Contains(got.String(), enough) {
			return got.String()
		}
	}
}

// stats is a part of /stats.
type stats struct {
	Memory      int `json:"memory_bytes"`
	SlowClients int `json:"slow_clients"`
}

func (g *gateway) stats() (s stats) {
	g.t.Helper()
	a := g.get("/stats")
	if err := json.Unmarshal([]byte(a.body), &s); err != nil {
		g.t.Fatalf("%v in %s", err, a.body)
	}
	return s
}

// heap returns the heap of the gateway after a garbage collection.
func (g *gateway) heap() (bytes int) {
	g.t.Helper()
	admin := regexp.MustCompile(`admin=(\S+)`).FindStringSubmatch(g.Log())
	if admin == nil {
		g.t.Fatalf("got log %s", g.Log())
	}
	resp, err := g.client.Get("http://" + admin[1] + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	_, figure, _ := strings.Cut(string(text), "\n# HeapAlloc = ")
	if _, err := fmt.Sscan(figure, &bytes); err != nil {
		g.t.Fatal(err)
	}
	return bytes
}

// subscriber is a well-behaved client.
type subscriber struct {
	t      *testing.T
	opened string      // data of stream.open
	data   chan string // closed at the end
}

// subscribe follows a topic until the test ends. It returns after stream.open. Like an
// EventSource, it tries again while the gateway is unavailable, as a busy machine can make it.
func (g *gateway) subscribe(query string) (s *subscriber) {
	g.t.Helper()
	await(g.t, "a subscription to "+query, func() bool {
		s = g.trySubscribe(query)
		return !strings.Contains(s.opened, `{"reason":"unavailable"}`)
	})
	if !strings.Contains(s.opened, `"topics"`) {
		g.t.Fatalf("a subscription begins with %.200s", s.opened)
	}
	return s
}

func (g *gateway) trySubscribe(query string) *subscriber {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL()+"/events"+query, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	s := &subscriber{t: g.t, data: make(chan string)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(s.data)
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok || strings.HasPrefix(data, `{"time":`) {
				continue
			}
			select {
			case s.data <- data:
			case <-ctx.Done():
			}
		}
	}()
	g.t.Cleanup(func() {
		cancel()
		resp.Body.Close()
		<-ended
	})
	s.opened = s.next()
	return s
}

func (s *subscriber) next() string {
	s.t.Helper()
	select {
	case data, ok := <-s.data:
		if !ok {
			s.t.Fatal("the stream ended")
		}
		return data
	case <-time.After(testTimeout):
		s.t.Fatal("got no event")
	}
	panic("unreachable")
}

// served checks that a message reaches subscribers and that a new subscription is accepted.
func (g *gateway) served(message string, subscribers ...*subscriber) {
	g.t.Helper()
	subscribers = append(subscribers, g.subscribe(""))
	if err := g.direct.Publish(g.t.Context(), "updates", message).Err(); err != nil {
		g.t.Fatal(err)
	}
	for i, s := range subscribers {
		if got := s.next(); got != message {
			g.t.Errorf("subscriber %d gets %.100q, want %q", i, got, message)
		}
	}
}
