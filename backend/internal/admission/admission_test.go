package admission

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPublishLimiter_AllowsRateOnAverage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := NewPublishLimiter(2)
		taken := 0
		for range 60 * 10 { // ten times a second for a minute
			err := q.Allow("a", 1)
			var tooFast RateError
			switch {
			case err == nil:
				taken++
			case !errors.As(err, &tooFast) || tooFast.Wait <= 0 || tooFast.Wait > time.Second:
				t.Fatalf("got error %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if want := q.Burst() + 2*60; taken < want-2 || taken > want {
			t.Errorf("got %d events in a minute, want %d", taken, want)
		}
		if err := q.Allow("b", q.Burst()); err != nil {
			t.Errorf("other publisher: got error %v", err)
		}
	})
}

func TestPublishLimiter_RejectedEventsAreFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := NewPublishLimiter(1)
		if err := q.Allow("a", q.Burst()); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if q.Allow("a", 5) == nil {
				t.Fatal("got more events than the burst")
			}
		}
		time.Sleep(5 * time.Second)
		if err := q.Allow("a", 5); err != nil {
			t.Errorf("after the reported delay: got error %v", err)
		}
	})
}

func TestPublishLimiter_EvictsLeastRecentPublisher(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // no time passes in the bubble
		q := NewPublishLimiter(1)
		if err := q.Allow("steady", q.Burst()); err != nil {
			t.Fatal(err)
		}
		for i := range 2 * maxPublishers {
			if err := q.Allow(fmt.Sprint(i), 1); err != nil {
				t.Fatal(err)
			}
			if i%1000 == 0 && q.Allow("steady", 1) == nil {
				t.Fatal("an active publisher was evicted")
			}
		}
		if n := q.limiters.Len(); n > maxPublishers {
			t.Fatalf("got %d publishers, want at most %d", n, maxPublishers)
		}
	})
}

func TestPublishLimiter_ZeroIsUnlimited(t *testing.T) {
	t.Parallel()
	q := NewPublishLimiter(0)
	if err := q.Allow("a", 1<<30); err != nil || q.Burst() < 1<<30 || q.limiters.Len() > 0 {
		t.Errorf("got error %v", err)
	}
}

// fakeConn is a connection that records Close.
type fakeConn struct {
	net.Conn
	addr  net.TCPAddr
	mu    sync.Mutex
	ended bool
}

func (c *fakeConn) RemoteAddr() net.Addr { return &c.addr }

func (c *fakeConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return nil
}

func (c *fakeConn) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

func TestConnLimiter_EvictsLongestIdle(t *testing.T) {
	t.Parallel()
	const most = 4
	l := NewConnLimiter(most)
	conns := make([]*fakeConn, 10)
	for i := range conns {
		conns[i] = new(fakeConn)
		l.ConnState(conns[i], http.StateNew)
		l.ConnState(conns[0], http.StateActive) // the first stays active
		l.ConnState(conns[0], http.StateIdle)
	}
	for i, c := range conns {
		stays := i == 0 || i > len(conns)-most
		if c.closed() == stays {
			t.Errorf("connection %d: got closed %v", i, c.closed())
		}
	}
	if l.waiting.Len() != most || len(l.conns) != most {
		t.Errorf("got %d counted and %d tracked connections", l.waiting.Len(), len(l.conns))
	}
}

func TestConnLimiter_EvictsFromBusiestAddress(t *testing.T) {
	t.Parallel()
	const most = 8
	l := NewConnLimiter(most)
	at := func(ip string) *fakeConn {
		c := &fakeConn{addr: net.TCPAddr{IP: net.ParseIP(ip)}}
		l.ConnState(c, http.StateNew)
		return c
	}
	slow, v6 := at("127.0.0.1"), at("2001:db8::1")
	var flood []*fakeConn
	for i := range 100 {
		flood = append(flood, at("127.0.0.2"), at(fmt.Sprintf("2001:db8:1::%x", i)))
	}
	if slow.closed() || v6.closed() {
		t.Error("connections of another address evicted a connection")
	}
	open := 0
	for _, c := range flood {
		if !c.closed() {
			open++
		}
	}
	if open != most-2 {
		t.Errorf("got %d open connections of the busy addresses, want %d", open, most-2)
	}
	if newest := flood[len(flood)-1]; newest.closed() {
		t.Error("the newest connection is evicted before an older one of its address")
	}
}

func requestOn(t *testing.T, c net.Conn) *http.Request {
	t.Helper()
	return (&http.Request{}).WithContext(ConnContext(t.Context(), c))
}

func TestConnLimiter_IgnoresStreams(t *testing.T) {
	t.Parallel()
	l := NewConnLimiter(1)
	taken, streaming, closed, next := new(fakeConn), new(fakeConn), new(fakeConn), new(fakeConn)
	l.ConnState(taken, http.StateNew)
	l.ConnState(taken, http.StateHijacked)
	l.ConnState(streaming, http.StateNew)
	back := l.StreamStarted(requestOn(t, streaming))
	l.ConnState(closed, http.StateNew)
	l.ConnState(closed, http.StateClosed)
	l.ConnState(next, http.StateNew)
	for i, c := range []*fakeConn{taken, streaming, closed, next} {
		if c.closed() {
			t.Errorf("connection %d was evicted", i)
		}
	}
	// After its stream has ended, the connection can be evicted.
	back()
	if !next.closed() || streaming.closed() {
		t.Error("the oldest was evicted, want the newest")
	}
}

func TestConnLimiter_CountsConnectionAfterLastStream(t *testing.T) {
	t.Parallel()
	l := NewConnLimiter(2)
	several, waiting := new(fakeConn), new(fakeConn)
	l.ConnState(several, http.StateNew)
	l.ConnState(waiting, http.StateNew)
	first, second := l.StreamStarted(requestOn(t, several)), l.StreamStarted(requestOn(t, several))
	l.ConnState(several, http.StateActive) // another request, which does not end
	first()
	if l.waiting.Len() != 1 {
		t.Errorf("with a stream: got %d counted connections", l.waiting.Len())
	}
	second()
	if l.waiting.Len() != 2 {
		t.Errorf("without a stream: got %d counted connections", l.waiting.Len())
	}
	again := l.StreamStarted(requestOn(t, several))
	l.ConnState(several, http.StateClosed)
	again()
	if l.waiting.Len() != 1 || len(l.conns) != 1 {
		t.Errorf("after the close: got %d counted and %d tracked connections", l.waiting.Len(), len(l.conns))
	}
}

func TestConnLimiter_EvictsMostRequests(t *testing.T) {
	t.Parallel()
	l := NewConnLimiter(10)
	l.maxRequests = 4
	modest, greedy, streaming := new(fakeConn), new(fakeConn), new(fakeConn)
	for _, c := range []net.Conn{modest, greedy, streaming} {
		l.ConnState(c, http.StateNew)
	}
	modestEnded, greedyEnded := l.StreamStarted(requestOn(t, modest)), l.StreamStarted(requestOn(t, greedy))
	// The requests of one connection become event streams, which another limit counts.
	for range 5 {
		finish, _ := l.begin(streaming)
		r := requestOn(t, streaming)
		l.StreamStarted(r.WithContext(context.WithValue(r.Context(), finishKey{}, finish)))
		finish()
	}
	finish, _ := l.begin(modest)
	finish()
	for range 3 {
		if _, out := l.begin(greedy); out != nil {
			t.Fatal("a connection was evicted below the limit")
		}
	}
	_, _ = l.begin(modest)
	if _, out := l.begin(modest); out != net.Conn(greedy) {
		t.Errorf("got %v evicted, want %v", out, greedy)
	}
	if l.requests != 5 {
		t.Errorf("got %d counted requests, want 5", l.requests)
	}
	if modestEnded() || !greedyEnded() {
		t.Error("the eviction did not end the streams")
	}
}

func TestConnLimiter_ClosesTLSWithoutAlert(t *testing.T) {
	t.Parallel()
	l := NewConnLimiter(1)
	under := new(fakeConn)
	l.ConnState(tls.Server(under, &tls.Config{MinVersion: tls.VersionTLS12}), http.StateNew)
	l.ConnState(new(fakeConn), http.StateNew)
	if !under.closed() {
		t.Error("the connection is still open")
	}
}

func TestBudget_ReservesDescriptorsForRedis(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		descriptors, wanted  int
		subscriptions, conns int
		warns                bool
	}{
		{1024, 0, 704, 64, false},
		{20_000, 0, 18_720, 1024, false},
		{20_000, 5, 5, 1024, false},
		{1 << 20, 1_000_000, 1_000_000, 1024, false},
		{1024, 1000, 704, 64, true},
		{256, 0, 64, 32, false},
	} {
		var said bytes.Buffer
		subscriptions, conns := Budget(tt.descriptors, tt.wanted, slog.New(slog.NewTextHandler(&said, nil)))
		if subscriptions != tt.subscriptions || conns != tt.conns {
			t.Errorf("%d descriptors: got %d for subscriptions and %d for other connections", tt.descriptors, subscriptions, conns)
		}
		if warned := strings.Contains(said.String(), "max-connections"); warned != tt.warns {
			t.Errorf("%d subscriptions and %d descriptors: got log %q", tt.wanted, tt.descriptors, said.String())
		}
	}
}
