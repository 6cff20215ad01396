package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	goredis "github.com/redis/go-redis/v9"

	"sluice/internal/config"
	"sluice/internal/source/redis"
	"sluice/internal/test/gatewaytest"
	"sluice/internal/test/proctest"
	"sluice/internal/test/redistest"
)

func TestMain(m *testing.M) {
	for _, setting := range os.Environ() {
		if name, _, _ := strings.Cut(setting, "="); name == "REDIS_URL" || strings.HasPrefix(name, "SLUICE_") || strings.HasPrefix(name, "OTEL_") {
			os.Unsetenv(name)
		}
	}
	redis.SetLog(slog.New(slog.DiscardHandler))
	os.Exit(gatewaytest.Run(m))
}

// testTimeout bounds every wait of a test.
const testTimeout = 2 * time.Minute

// parseFlags returns the configuration for the flags.
func parseFlags(args ...string) (config.Config, error) {
	var cfg config.Config
	parser, err := kong.New(&cfg, kong.Name("server"), kong.Vars{"version": "test"})
	if err != nil {
		return cfg, err
	}
	_, err = parser.Parse(args)
	return cfg, err
}

// gateway is a running server, its log and its Redis.
type gateway struct {
	t        *testing.T
	server   *Server
	log      *proctest.Output // of the server
	url      string
	admin    string
	client   *http.Client
	redis    *redistest.Server     // nil with the embedded broker
	direct   *goredis.Client       // of redis
	shutdown func(context.Context) // runs once
}

// start starts a gateway that requires no token, with further flags.
func start(t *testing.T, args ...string) *gateway {
	t.Helper()
	args = append([]string{
		"--addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--drain=0s",
		"--allow-subscribe=channel:*,stream:*,key:*", "--allow-publish=channel:*,stream:*,key:*",
	}, args...)
	cfg, err := parseFlags(args...)
	if err != nil {
		t.Fatal(err)
	}
	log := new(proctest.Output)
	s, err := Start(cfg, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{
		t: t, server: s, log: log,
		url:    "http://" + s.listener.Addr().String(),
		client: &http.Client{Transport: new(http.Transport)},
	}
	g.admin = "http://" + regexp.MustCompile(`admin=(\S+)`).FindStringSubmatch(log.String())[1]
	var once sync.Once
	g.shutdown = func(ctx context.Context) {
		once.Do(func() {
			if err := s.Shutdown(ctx); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		g.client.CloseIdleConnections()
		g.stop()
		if t.Failed() {
			t.Logf("log of the server:\n%s", log.String())
		}
	})
	return g
}

func (g *gateway) stop() { g.shutdown(context.Background()) }

// startOnRedis starts a gateway and a Redis server for it.
func startOnRedis(t *testing.T, args ...string) *gateway {
	t.Helper()
	return startOn(t, redistest.Start(t), args...)
}

func startOn(t *testing.T, server *redistest.Server, args ...string) *gateway {
	t.Helper()
	g := start(t, append([]string{"--redis-url=" + server.URL()}, args...)...)
	g.redis = server
	g.direct = server.Client()
	return g
}

// onBothBrokers runs a test with the embedded broker and with a Redis.
func onBothBrokers(t *testing.T, test func(t *testing.T, start func(t *testing.T, args ...string) *gateway)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, start)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, startOnRedis)
	})
}

// overEachTransport runs a test with a gateway and a client for each transport. protoMajor is the
// major version of HTTP of the responses.
func overEachTransport(t *testing.T, test func(t *testing.T, g *gateway, protoMajor int), args ...string) {
	t.Helper()
	authority := redistest.NewAuthority(t)
	certificate, key := authority.Pair()
	for _, tt := range []struct {
		name       string
		encrypted  bool
		protoMajor int
	}{
		{"HTTP/1.1", false, 1}, {"HTTP/1.1 over TLS", true, 1}, {"HTTP/2", false, 2}, {"HTTP/2 over TLS", true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var encryption []string
			if tt.encrypted {
				encryption = []string{"--tls-cert=" + certificate, "--tls-key=" + key}
			}
			g := start(t, append(encryption, args...)...)
			g.url = g.server.URL()
			protocols := new(http.Protocols)
			protocols.SetHTTP1(tt.protoMajor == 1)
			protocols.SetHTTP2(tt.protoMajor == 2)
			protocols.SetUnencryptedHTTP2(tt.protoMajor == 2)
			if tt.protoMajor == 1 { // HTTP/2 has its own limit for unread data
				g.client = newSmallReader(t)
			}
			transport := g.client.Transport.(*http.Transport)
			transport.Protocols, transport.TLSClientConfig = protocols, authority.Client()
			test(t, g, tt.protoMajor)
		})
	}
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	proctest.Await(t, testTimeout, what, condition)
}

// answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request and reads the whole response.
func (g *gateway) do(method, path string, body io.Reader, header ...string) answer {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	target := path
	if !strings.HasPrefix(path, "http") {
		target = g.url + path
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		g.t.Fatal(err)
	}
	setHeader(req, header)
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func setHeader(req *http.Request, pairs []string) {
	for i := 0; i < len(pairs); i += 2 {
		req.Header.Set(pairs[i], pairs[i+1])
	}
}

func (g *gateway) get(path string, header ...string) answer {
	g.t.Helper()
	return g.do(http.MethodGet, path, nil, header...)
}

// publish publishes to a channel over HTTP.
func (g *gateway) publish(channel string, data ...string) {
	g.t.Helper()
	for _, d := range data {
		if a := g.do(http.MethodPost, "/events?channel="+url.QueryEscape(channel), strings.NewReader(d)); a.status != http.StatusOK {
			g.t.Errorf("publishing: got status %d, body %s", a.status, a.body)
		}
	}
}

func (g *gateway) stats() map[string]any {
	g.t.Helper()
	var stats map[string]any
	a := g.get("/stats")
	if err := json.Unmarshal([]byte(a.body), &stats); err != nil {
		g.t.Fatalf("/stats: %v in %q", err, a.body)
	}
	return stats
}

func (g *gateway) stat(name string) int {
	g.t.Helper()
	value, ok := g.stats()[name].(float64)
	if !ok {
		g.t.Fatalf("/stats has no number %s", name)
	}
	return int(value)
}

// frame is one block of an event stream.
type frame struct {
	id, name, data, retry string
	hasID                 bool
}

func (f frame) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(f.data), into); err != nil {
		t.Fatalf("%v in %q", err, f.data)
	}
}

// topic returns the topic in the id.
func (f frame) topic() string {
	name, _, ok := strings.Cut(f.id, "@")
	if !ok {
		return ""
	}
	name, _ = url.PathUnescape(name)
	return name
}

// readFrames reads a stream strictly: blocks of known fields, each ended by an empty line. It
// returns when the stream ends or take returns false.
func readFrames(r io.Reader, take func(frame) bool) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	var f frame
	var data []string
	begun := false
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			if begun || line != "" {
				return fmt.Errorf("the stream ends inside an event, at %.100q: %w", line, err)
			}
			return err
		}
		line = line[:len(line)-1]
		if line == "" {
			if !begun {
				return errors.New("an empty block")
			}
			f.data = strings.Join(data, "\n")
			if !take(f) {
				return nil
			}
			f, data, begun = frame{}, nil, false
			continue
		}
		begun = true
		field, value, ok := strings.Cut(line, ": ")
		switch {
		case !ok:
			return fmt.Errorf("a line %.100q", line)
		case field == "id":
			f.id, f.hasID = value, true
		case field == "event":
			f.name = value
		case field == "retry":
			f.retry = value
		case field == "data":
			data = append(data, value)
		default:
			return fmt.Errorf("a field %.100q", line)
		}
	}
}

// stream is one subscription over HTTP.
type stream struct {
	t      *testing.T
	resp   *http.Response
	frames chan frame // closed at the end
	err    error      // error at the end; valid once frames is closed
	cancel context.CancelFunc
	opened openData
	first  frame
}

type openData struct {
	Topics  []string `json:"topics"`
	Resumed bool     `json:"resumed"`
	Node    string   `json:"node"`
}

type gapData struct {
	Topic  string `json:"topic"`
	Reason string `json:"reason"`
	Lost   *int64 `json:"lost"`
}

// request opens a stream and does not read the body.
func (g *gateway) request(client *http.Client, query string, header ...string) (*http.Response, context.CancelFunc) {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/events"+query, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	setHeader(req, append([]string{"Accept", "text/event-stream"}, header...))
	timeout := time.AfterFunc(testTimeout, cancel)
	resp, err := client.Do(req)
	timeout.Stop()
	if err != nil {
		cancel()
		g.t.Fatalf("GET /events%s: %v", query, err)
	}
	g.t.Cleanup(func() {
		cancel()
		resp.Body.Close()
	})
	if resp.StatusCode != http.StatusOK {
		g.t.Fatalf("GET /events%s: got status %d", query, resp.StatusCode)
	}
	return resp, cancel
}

// open opens a stream with any first event.
func (g *gateway) open(client *http.Client, query string, header ...string) *stream {
	g.t.Helper()
	resp, cancel := g.request(client, query, header...)
	return g.read(resp, cancel)
}

func (g *gateway) read(resp *http.Response, cancel context.CancelFunc) *stream {
	s := &stream{t: g.t, resp: resp, frames: make(chan frame, 256), cancel: cancel}
	ended := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(s.frames)
		s.err = readFrames(resp.Body, func(f frame) bool {
			select {
			case s.frames <- f:
				return true
			case <-stopped:
				return false
			}
		})
	}()
	g.t.Cleanup(func() {
		close(stopped)
		cancel()
		<-ended
	})
	return s
}

// subscribe opens a stream and reads its stream.open.
func (g *gateway) subscribe(query string, header ...string) *stream {
	g.t.Helper()
	return g.subscribeWith(g.client, query, header...)
}

func (g *gateway) subscribeWith(client *http.Client, query string, header ...string) *stream {
	g.t.Helper()
	s := g.open(client, query, header...)
	s.readOpen()
	return s
}

func (s *stream) readOpen() {
	s.t.Helper()
	s.first = s.next()
	if s.first.name != "stream.open" {
		s.t.Fatalf("the first event is %+v", s.first)
	}
	s.first.decode(s.t, &s.opened)
}

// next returns the next event other than a ping.
func (s *stream) next() frame {
	s.t.Helper()
	for {
		if f := s.nextOfAny(); f.name != "stream.ping" {
			return f
		}
	}
}

func (s *stream) nextOfAny() frame {
	s.t.Helper()
	select {
	case f, ok := <-s.frames:
		if !ok {
			s.t.Fatalf("the stream ended: %v", s.err)
		}
		return f
	case <-time.After(testTimeout):
		s.t.Fatal("got no event")
	}
	panic("unreachable")
}

// data reads n data events and returns their data.
func (s *stream) data(n int) []string {
	s.t.Helper()
	var out []string
	for len(out) < n {
		f := s.next()
		if f.name != "" {
			s.t.Fatalf("got %+v, want data", f)
		}
		out = append(out, f.data)
	}
	return out
}

// gap reads a gap.
func (s *stream) gap() (gapData, frame) {
	s.t.Helper()
	f := s.next()
	if f.name != "stream.gap" {
		s.t.Fatalf("got %+v, want a gap", f)
	}
	var g gapData
	f.decode(s.t, &g)
	return g, f
}

// end reads to the end and returns all events except pings.
func (s *stream) end() []frame {
	s.t.Helper()
	var out []frame
	deadline := time.After(testTimeout)
	for {
		select {
		case f, ok := <-s.frames:
			if !ok {
				return out
			}
			if f.name != "stream.ping" {
				out = append(out, f)
			}
		case <-deadline:
			s.t.Fatal("the stream does not end")
		}
	}
}

// disconnect closes the stream on the client's side.
func (s *stream) disconnect() {
	s.cancel()
	s.end()
}

// newH2C returns a client that speaks HTTP/2 without TLS.
func newH2C(t *testing.T) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// newSmallReader returns a client whose connections have small receive buffers.
func newSmallReader(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		return conn, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// numbers returns the decimal numbers from first to last.
func numbers(first, last int) []string {
	var out []string
	for n := first; n <= last; n++ {
		out = append(out, fmt.Sprint(n))
	}
	return out
}
