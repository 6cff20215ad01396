package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice/internal/delivery"
	"sluice/internal/journal"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// counts implements the metrics of a server.
type counts struct {
	mu          sync.Mutex
	frames, cut int
	stalled     int
}

func (c *counts) Delivered(frames, _ int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames += frames
}

func (c *counts) Written(time.Duration) {}

func (c *counts) Stalled(change int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stalled += change
}

func (c *counts) SlowClientCut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut++
}

func (c *counts) both() (frames, cut int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frames, c.cut
}

func (c *counts) checkStalled(t *testing.T, want int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalled != want {
		t.Errorf("got %d stalled clients, want %d", c.stalled, want)
	}
}

// newServer returns a server. Do not call it in a synctest bubble: it waits for sockets.
func newServer(t *testing.T, options delivery.Options) (*delivery.Server, *counts) {
	t.Helper()
	metrics := new(counts)
	s := delivery.New(options, metrics)
	t.Cleanup(s.Close)
	return s, metrics
}

// fakeStream delivers the frames of a test. Its journal only wakes the connection unless its reader
// is conflated.
type fakeStream struct {
	mu     sync.Mutex
	queue  []journal.Batch
	failed error
	log    *journal.Journal
	reader journal.Reader
}

func newFakeStream(every time.Duration) *fakeStream {
	f := &fakeStream{log: journal.New(journal.Limits{Events: 16, Bytes: 1 << 10}, "0")}
	f.reader = journal.NewReader(f.log, every, true, nil)
	f.put("event: stream.open\ndata: {}\n\n")
	return f
}

func (f *fakeStream) put(frames ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, text := range frames {
		f.queue = append(f.queue, journal.Batch{Bytes: []byte(text), Frames: 1})
	}
	f.wake()
}

func (f *fakeStream) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = err
	f.wake()
}

func (f *fakeStream) wake() {
	if !f.reader.Conflated() {
		f.log.Append(journal.Frame{})
	}
}

func (f *fakeStream) Next(context.Context) (journal.Batch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.failed != nil:
		return journal.Batch{}, f.failed
	case len(f.queue) > 0:
		b := f.queue[0]
		f.queue = f.queue[1:]
		return b, nil
	case f.reader.Conflated():
		b, _ := f.reader.Next()
		return b, nil
	}
	return journal.Batch{}, nil
}

func (f *fakeStream) Live() bool                  { return false }
func (f *fakeStream) Reader() journal.BatchReader { return &f.reader }

func (*fakeStream) OnRevoke(func()) {}

// testClient records a response and the time of each part.
type testClient struct {
	mu     sync.Mutex
	header http.Header
	text   bytes.Buffer
	sent   []arrival
	err    error         // error of later writes
	room   chan struct{} // writes block on it if it is not nil
}

type arrival struct {
	at   time.Time
	text string
}

func (c *testClient) Header() http.Header { return c.header }
func (c *testClient) WriteHeader(int)     {}
func (c *testClient) FlushError() error   { return c.failure() }

func (c *testClient) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *testClient) Write(p []byte) (int, error) {
	c.awaitRoom()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.text.Write(p)
	c.sent = append(c.sent, arrival{time.Now(), string(p)})
	return len(p), nil
}

func (c *testClient) awaitRoom() {
	c.mu.Lock()
	room := c.room
	c.mu.Unlock()
	if room != nil {
		<-room
	}
}

// fill blocks later writes until the channel is closed.
func (c *testClient) fill() (room chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room = make(chan struct{})
	return c.room
}

func (c *testClient) arrivals() []arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

// whole returns everything that was written.
func (c *testClient) whole() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// connection is one call of Serve.
type connection struct {
	client *testClient
	stream *fakeStream
	cancel context.CancelFunc
	ended  chan *delivery.End // buffered for more ends than expected
}

func serve(t *testing.T, s *delivery.Server) *connection {
	t.Helper()
	return serveUntil(t, s, time.Time{})
}

func serveUntil(t *testing.T, s *delivery.Server, expires time.Time) *connection {
	t.Helper()
	return serveStream(t, s, newFakeStream(0), expires)
}

func serveStream(t *testing.T, s *delivery.Server, stream *fakeStream, expires time.Time) *connection {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &connection{&testClient{header: make(http.Header)}, stream, cancel, make(chan *delivery.End, 8)}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil)
	go serveAndReport(s, c.client, r, c.stream, expires, func(end *delivery.End) { c.ended <- end })
	return c
}

// serveAndReport calls Serve and then ended, for either way to report the end.
func serveAndReport(s *delivery.Server, w http.ResponseWriter, r *http.Request, stream delivery.Stream, expires time.Time, ended func(*delivery.End)) {
	if end := s.Serve(w, r, stream, expires, ended); end != nil {
		ended(end)
	}
}

// leave disconnects from the client's side.
func (c *connection) leave(t *testing.T) {
	t.Helper()
	c.cancel()
	c.checkEnd(t, delivery.ClientGone)
}

// checkEnd waits for the end of the connection and checks its reason.
func (c *connection) checkEnd(t *testing.T, want delivery.EndReason) {
	t.Helper()
	if end := <-c.ended; end.Reason != want {
		t.Errorf("got reason %q, want %q", end.Reason, want)
	}
}

// at returns the times, since start, of the parts that contain a word.
func (c *connection) at(start time.Time, word string) []time.Duration {
	var out []time.Duration
	for _, a := range c.client.arrivals() {
		if strings.Contains(a.text, word) {
			out = append(out, a.at.Sub(start))
		}
	}
	return out
}

var options = delivery.Options{Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second, Retry: 2 * time.Second}

func TestServe_PingsAfterIdleHeartbeat(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, options)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := serve(t, s)
		time.Sleep(40 * time.Second)
		c.stream.put("data: x\n\n") // at 40
		time.Sleep(16 * time.Second)
		for range 5 { // events from 56 to 96, at intervals below 15 seconds
			c.stream.put("data: y\n\n")
			time.Sleep(10 * time.Second)
		}
		c.leave(t)
		want := []time.Duration{15 * time.Second, 30 * time.Second, 55 * time.Second}
		if got := c.at(start, "stream.ping"); !slices.Equal(got, want) {
			t.Errorf("got pings after %v, want %v", got, want)
		}
		if want := start.Add(15 * time.Second).UTC().Format(time.RFC3339Nano); !strings.Contains(c.client.whole(), want) {
			t.Errorf("got no ping with time %s: %s", want, c.client.whole())
		}
	})
}

func TestServe_SendsDueEventsWithoutWake(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, options)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := serveStream(t, s, newFakeStream(20*time.Second), time.Time{})
		synctest.Wait()
		for _, data := range []string{"first", "due"} {
			c.stream.log.Append(journal.Frame{Body: []byte("data: " + data + "\n\n")})
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		c.leave(t)
		if got := c.at(start, "due"); !slices.Equal(got, []time.Duration{20 * time.Second}) {
			t.Errorf("got the event after %v", got)
		}
		want := []time.Duration{15 * time.Second, 35 * time.Second, 50 * time.Second}
		if got := c.at(start, "stream.ping"); !slices.Equal(got, want) {
			t.Errorf("got pings after %v, want %v", got, want)
		}
	})
}

func TestServe_FirstBlockHasRetry(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, options)
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, s)
		synctest.Wait()
		c.leave(t)
		var retry int
		if _, err := fmt.Sscanf(c.client.whole(), "retry: %d\nevent: stream.open\n", &retry); err != nil || retry < 2000 || retry > 4000 {
			t.Errorf("got stream %q", c.client.whole())
		}
	})
}

func TestServe_SendsCloseWhenStreamFails(t *testing.T) {
	t.Parallel()
	s, metrics := newServer(t, options)
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, s)
		synctest.Wait()
		broken := fmt.Errorf("redis is away: %w", os.ErrDeadlineExceeded)
		c.stream.fail(broken)
		if end := <-c.ended; end.Reason != delivery.Unavailable || !errors.Is(end.Err, broken) {
			t.Errorf("got end %+v", end)
		}
		if !strings.HasSuffix(c.client.whole(), "event: stream.close\ndata: {\"reason\":\"unavailable\"}\n\n") {
			t.Errorf("got stream %q", c.client.whole())
		}
	})
	if _, cut := metrics.both(); cut > 0 {
		t.Error("a timeout of Redis is counted as a slow client")
	}
}

func TestServe_SendsCloseAtExpiry(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, options)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := serveUntil(t, s, start.Add(20*time.Second))
		late := serveUntil(t, s, start)
		time.Sleep(19 * time.Second)
		c.stream.put("data: before\n\n")
		for _, c := range []*connection{c, late} {
			c.checkEnd(t, delivery.TokenExpired)
			if !strings.HasSuffix(c.client.whole(), "event: stream.close\ndata: {\"reason\":\"token-expired\"}\n\n") {
				t.Errorf("got stream %q", c.client.whole())
			}
		}
		if got := c.at(start, "stream.close"); !slices.Equal(got, []time.Duration{20 * time.Second}) {
			t.Errorf("closed after %v", got)
		}
		if text := late.client.whole(); strings.Contains(text, "stream.open") {
			t.Errorf("got %q for an expired token", text)
		}
	})
}

func TestServe_DisconnectedClientIsNotSlow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err    error
		reason delivery.EndReason
		cut    int
	}{
		"gone":    {errors.New("broken pipe"), delivery.ClientGone, 0},
		"stalled": {fmt.Errorf("write: %w", os.ErrDeadlineExceeded), delivery.WriteTimeout, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, metrics := newServer(t, options)
			synctest.Test(t, func(t *testing.T) {
				c := serve(t, s)
				synctest.Wait()
				c.client.mu.Lock()
				c.client.err = tt.err
				c.client.mu.Unlock()
				c.stream.put("data: x\n\n")
				c.checkEnd(t, tt.reason)
				synctest.Wait()
				if len(c.ended) > 0 {
					t.Error("done is called twice")
				}
			})
			if _, cut := metrics.both(); cut != tt.cut {
				t.Errorf("got %d slow clients, want %d", cut, tt.cut)
			}
		})
	}
}

func TestServe_ClientIsStalledDuringBlockedWrite(t *testing.T) {
	t.Parallel()
	s, metrics := newServer(t, options)
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, s)
		synctest.Wait()
		for range 2 {
			room := c.client.fill()
			c.stream.put("data: x\n\n")
			time.Sleep(time.Second - 1)
			metrics.checkStalled(t, 0)
			time.Sleep(time.Second)
			metrics.checkStalled(t, 1)
			close(room)
			synctest.Wait()
			metrics.checkStalled(t, 0)
		}
		time.Sleep(time.Minute) // without events
		metrics.checkStalled(t, 0)
		room := c.client.fill()
		c.stream.put("data: x\n\n")
		time.Sleep(2 * time.Second)
		c.client.mu.Lock()
		c.client.err = os.ErrDeadlineExceeded
		c.client.mu.Unlock()
		close(room)
		c.checkEnd(t, delivery.WriteTimeout)
		metrics.checkStalled(t, 0)
	})
}

func TestServe_CountsDeliveredFrames(t *testing.T) {
	t.Parallel()
	s, metrics := newServer(t, options)
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, s)
		c.stream.put("data: 1\n\n", "data: 2\n\n")
		synctest.Wait()
		c.leave(t)
	})
	if frames, _ := metrics.both(); frames != 3 {
		t.Errorf("got %d frames, want 3", frames)
	}
}

func TestDrain_ClosesEvenly(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, options)
	synctest.Test(t, func(t *testing.T) {
		var all []*connection
		for range 5 {
			c := serve(t, s)
			c.stream.put("data: x\n\n")
			all = append(all, c)
		}
		synctest.Wait()
		start := time.Now()
		s.Drain(t.Context(), 10*time.Second)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("the drain took %s", took)
		}
		if !s.Draining() {
			t.Error("Draining is false")
		}
		var closed []time.Duration
		retries := make(map[string]bool)
		for _, c := range all {
			c.checkEnd(t, delivery.Draining)
			at := c.at(start, "stream.close")
			if len(at) != 1 || !strings.HasSuffix(c.client.whole(), "event: stream.close\ndata: {\"reason\":\"draining\"}\n\n") {
				t.Fatalf("got stream %q", c.client.whole())
			}
			closed = append(closed, at...)
			// The retry of stream.close follows that of stream.open.
			_, rest, _ := strings.Cut(c.client.whole()[1:], "\nretry: ")
			retry, _, _ := strings.Cut(rest, "\n")
			if n, err := strconv.Atoi(retry); err != nil || n < 2000 || n > 4000 {
				t.Errorf("got retry %q", retry)
			}
			retries[retry] = true
		}
		slices.Sort(closed)
		want := []time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second}
		if !slices.Equal(closed, want) {
			t.Errorf("got connections closed after %v, want %v", closed, want)
		}
		if len(retries) == 1 {
			t.Error("got equal retry times for all clients")
		}
	})
}

func TestDrain_EndsWithContext(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, options)
	synctest.Test(t, func(t *testing.T) {
		var all []*connection
		for range 4 {
			all = append(all, serve(t, s))
		}
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		s.Drain(ctx, time.Hour)
		for _, c := range all {
			c.checkEnd(t, delivery.Draining)
			if at := c.at(start, "stream.close"); len(at) != 1 || at[0] > 3*time.Second {
				t.Errorf("a connection was closed after %v", at)
			}
		}
	})
}

func TestDrain_RejectsNewConnections(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, options)
	synctest.Test(t, func(t *testing.T) {
		s.Drain(t.Context(), time.Second)
		c := serve(t, s)
		c.checkEnd(t, delivery.Draining)
		// The client gets stream.close or an empty response.
		if text := c.client.whole(); text != "" && !strings.Contains(text, "stream.close") {
			t.Errorf("got stream %q", text)
		}
	})
}

func TestRetry_IsRandomWithinBounds(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, options)
	for name, tt := range map[string]struct {
		next       func() time.Duration
		from, upTo time.Duration
	}{
		"usual":  {s.Retry, options.Retry, 2 * options.Retry},
		"longer": {s.LongRetry, 2 * options.Retry, time.Minute},
	} {
		seen := make(map[time.Duration]bool)
		for range 1000 {
			d := tt.next()
			if d < tt.from || d > tt.upTo {
				t.Fatalf("%s: got %s, want between %s and %s", name, d, tt.from, tt.upTo)
			}
			seen[d] = true
		}
		if len(seen) < 900 {
			t.Errorf("%s: got only %d different times in 1000", name, len(seen))
		}
	}
}
