package httpapi

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

func TestQuota_LetsThroughAtTheRateOnAverage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(2)
		taken := 0
		for range 60 * 10 { // ten times a second for a minute
			err := q.take("a", 1)
			var tooFast tooFastError
			switch {
			case err == nil:
				taken++
			case !errors.As(err, &tooFast) || tooFast.wait <= 0 || tooFast.wait > time.Second:
				t.Fatalf("it is refused with %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if want := q.atOnce() + 2*60; taken < want-2 || taken > want {
			t.Errorf("%d events are let through in a minute, want %d", taken, want)
		}
		if err := q.take("b", q.atOnce()); err != nil {
			t.Errorf("another publisher: %v", err)
		}
	})
}

func TestQuota_RefusedEventsCostNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(1)
		if err := q.take("a", q.atOnce()); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if q.take("a", 5) == nil {
				t.Fatal("too many are let through")
			}
		}
		time.Sleep(5 * time.Second)
		if err := q.take("a", 5); err != nil {
			t.Errorf("after the time that was told: %v", err)
		}
	})
}

func TestQuota_ForgetsWhoHasNotPublishedForLongest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // in which no time passes
		q := newQuota(1)
		if err := q.take("steady", q.atOnce()); err != nil {
			t.Fatal(err)
		}
		for i := range 3 * maxQuotas {
			if err := q.take(fmt.Sprint(i), 1); err != nil {
				t.Fatal(err)
			}
			if i%1000 == 0 {
				q.of("steady")
			}
			if n := len(q.lately) + len(q.before); n > maxQuotas {
				t.Fatalf("%d publishers are remembered, want at most %d", n, maxQuotas)
			}
		}
		if tokens := q.of("steady").Tokens(); tokens > 0 {
			t.Errorf("who publishes all the time is forgotten: it may send %v", tokens)
		}
	})
}

func TestQuota_WithoutARateThereIsNone(t *testing.T) {
	t.Parallel()
	q := newQuota(0)
	if err := q.take("a", 1<<30); err != nil || q.atOnce() < 1<<30 || len(q.lately) > 0 {
		t.Errorf("the error is %v", err)
	}
}

// fakeConn is a connection of which only the end matters.
type fakeConn struct {
	net.Conn
	mu    sync.Mutex
	ended bool
}

func (c *fakeConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return nil
}

func (c *fakeConn) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

func TestLobby_WhoHasDoneNothingForLongestHasToLeave(t *testing.T) {
	t.Parallel()
	const most = 4
	l := newLobby(most)
	conns := make([]*fakeConn, 10)
	for i := range conns {
		conns[i] = new(fakeConn)
		l.track(conns[i], http.StateNew)
		l.track(conns[0], http.StateActive) // the first goes on showing that it lives
		l.track(conns[0], http.StateIdle)
	}
	for i, c := range conns {
		stays := i == 0 || i > len(conns)-most
		if c.gone() == stays {
			t.Errorf("connection %d has ended: %v", i, c.gone())
		}
	}
	if l.order.Len() != most || len(l.guests) != most {
		t.Errorf("%d connections are in the lobby, %d of them with a place", l.order.Len(), len(l.guests))
	}
}

func requestOn(t *testing.T, c net.Conn) *http.Request {
	t.Helper()
	return (&http.Request{}).WithContext(withConn(t.Context(), c))
}

func TestLobby_WhoHasAStreamIsNotInIt(t *testing.T) {
	t.Parallel()
	l := newLobby(1)
	taken, streaming, closed, next := new(fakeConn), new(fakeConn), new(fakeConn), new(fakeConn)
	l.track(taken, http.StateNew)
	l.track(taken, http.StateHijacked)
	l.track(streaming, http.StateNew)
	back := l.leaveWith(requestOn(t, streaming))
	l.track(closed, http.StateNew)
	l.track(closed, http.StateClosed)
	l.track(next, http.StateNew)
	for i, c := range []*fakeConn{taken, streaming, closed, next} {
		if c.gone() {
			t.Errorf("connection %d has to leave", i)
		}
	}
	// When its stream has ended it is in the way like any other.
	back()
	if !next.gone() || streaming.gone() {
		t.Error("the newest has to leave, and not the oldest")
	}
}

func TestLobby_ConnectionIsBackWithTheLastOfItsStreams(t *testing.T) {
	t.Parallel()
	l := newLobby(2)
	several, waiting := new(fakeConn), new(fakeConn)
	l.track(several, http.StateNew)
	l.track(waiting, http.StateNew)
	first, second := l.leaveWith(requestOn(t, several)), l.leaveWith(requestOn(t, several))
	l.track(several, http.StateActive) // another request, which never ends
	first()
	if l.order.Len() != 1 {
		t.Errorf("with a stream left, %d connections are in the lobby", l.order.Len())
	}
	second()
	if l.order.Len() != 2 {
		t.Errorf("without a stream, %d connections are in the lobby", l.order.Len())
	}
	again := l.leaveWith(requestOn(t, several))
	l.track(several, http.StateClosed)
	again()
	if l.order.Len() != 1 || len(l.guests) != 1 {
		t.Errorf("when it is closed, %d connections are in the lobby, of %d", l.order.Len(), len(l.guests))
	}
}

func TestLobby_ConnectionWithTheMostRequestsEndsWhereThereAreTooMany(t *testing.T) {
	t.Parallel()
	l := newLobby(10)
	l.mostRequests = 4
	modest, greedy, streaming := new(fakeConn), new(fakeConn), new(fakeConn)
	for _, c := range []net.Conn{modest, greedy, streaming} {
		l.track(c, http.StateNew)
	}
	// The requests of one become event streams, which are counted elsewhere.
	for range 5 {
		v, _ := l.begin(streaming)
		r := requestOn(t, streaming)
		l.leaveWith(r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
		l.finish(v)
	}
	first, _ := l.begin(modest)
	l.finish(first)
	for range 3 {
		if _, out := l.begin(greedy); out != nil {
			t.Fatal("a connection has to leave although there is room")
		}
	}
	_, _ = l.begin(modest)
	if _, out := l.begin(modest); out != net.Conn(greedy) {
		t.Errorf("%v has to leave, want %v", out, greedy)
	}
	if l.requests != 5 {
		t.Errorf("%d requests are counted, want 5", l.requests)
	}
}

func TestLobby_EndsEncryptedConnectionsWithoutAWord(t *testing.T) {
	t.Parallel()
	l := newLobby(1)
	under := new(fakeConn)
	l.track(tls.Server(under, &tls.Config{MinVersion: tls.VersionTLS12}), http.StateNew)
	l.track(new(fakeConn), http.StateNew)
	if !under.gone() {
		t.Error("it stays")
	}
}

func TestSeats_LeaveDescriptorsForRedis(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		descriptors, wanted  int
		subscriptions, lobby int
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
		subscriptions, lobby := seats(tt.descriptors, tt.wanted, slog.New(slog.NewTextHandler(&said, nil)))
		if subscriptions != tt.subscriptions || lobby != tt.lobby {
			t.Errorf("of %d descriptors %d are for subscriptions and %d for the lobby", tt.descriptors, subscriptions, lobby)
		}
		if warned := strings.Contains(said.String(), "max-connections"); warned != tt.warns {
			t.Errorf("with %d of %d wanted the log says %q", tt.wanted, tt.descriptors, said.String())
		}
	}
}
