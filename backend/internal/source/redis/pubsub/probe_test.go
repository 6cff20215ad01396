package pubsub

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/test/redistest"
)

// Messages of many MiB delay the probes after them. As long as they arrive, the connection works.
func TestProbe_ReplacesSilentConnections(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	for _, tt := range []struct {
		name            string
		missing, silent time.Duration
		replaced        bool
	}{
		{"a new probe", time.Second, time.Hour, false},
		{"a silent connection", probePatience + time.Second, probePatience + time.Second, true},
		{"a busy connection", probePatience + time.Second, time.Second, false},
		{"a connection that is busy for too long", busyPatience + time.Second, 0, true},
	} {
		replaced := false
		p := newProbe(client, "probe", func() { replaced = true }, func(time.Duration) {}, slog.New(slog.DiscardHandler))
		p.heard.Store(time.Now().Add(-tt.silent).UnixNano())
		p.asked = time.Now().Add(-tt.missing)
		p.send(t.Context())
		if replaced != tt.replaced {
			t.Errorf("%s: replaced is %v, want %v", tt.name, replaced, tt.replaced)
		}
	}
}

func newTestProbe(client *redis.Client) *probe {
	return newProbe(client, "probe", func() {}, func(time.Duration) {}, slog.New(slog.DiscardHandler))
}

// waiters returns the number of callers that wait for the next probe and for the sent ones.
func (p *probe) waiters() (next, sent int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, number := range p.waiting {
		if number > p.newest {
			next++
		} else {
			sent++
		}
	}
	return next, sent
}

func TestProbe_ReleasesCallersThatEnd(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	for _, sent := range []bool{false, true} {
		p := newTestProbe(client) // nothing receives its probes
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- p.sync(ctx) }()
		for n := 0; n == 0; n, _ = p.waiters() {
			time.Sleep(time.Millisecond)
		}
		if sent {
			p.send(t.Context())
			if next, waits := p.waiters(); next != 0 || waits != 1 {
				t.Fatalf("after a probe: got %d callers for the next one and %d for sent ones", next, waits)
			}
		}
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("with a sent probe (%v): sync returns %v", sent, err)
		}
		if next, left := p.waiters(); next != 0 || left != 0 {
			t.Errorf("with a sent probe (%v): got %d callers for the next one and %d for sent ones", sent, next, left)
		}
	}
}

// A time-out or a lost connection can end soon, so the caller waits for the next probe.
func TestProbe_OnlyRefusalEndsSync(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "allchannels", "-publish")
	refused := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "gateway", Password: "secret"})
	defer refused.Close()
	lost := redis.NewClient(&redis.Options{Addr: server.Addr()})
	_ = lost.Close()
	for _, tt := range []struct {
		name   string
		client *redis.Client
		want   error
	}{
		{"a user that may not publish", refused, ErrForbidden},
		{"a lost connection", lost, context.DeadlineExceeded},
	} {
		p := newTestProbe(tt.client)
		running, stop := context.WithCancel(t.Context())
		go p.run(running)
		ctx, cancel := context.WithTimeout(t.Context(), probeInterval/2)
		if err := p.sync(ctx); !errors.Is(err, tt.want) {
			t.Errorf("%s: sync returns %v, want %v", tt.name, err, tt.want)
		}
		cancel()
		stop()
		<-p.ended
		if next, sent := p.waiters(); next != 0 || sent != 0 {
			t.Errorf("%s: got %d callers for the next probe and %d for sent ones", tt.name, next, sent)
		}
	}
}

// A reply that a later probe would not get does not end the wait.
func TestProbe_LastingRefusalEndsSync(t *testing.T) {
	t.Parallel()
	for text, lasting := range map[reply]bool{
		"ERR unknown command 'PUBLISH', with args beginning with: 'c'": true,
		"ERR max number of clients reached":                            false,
		"LOADING Redis is loading the dataset in memory":               false,
	} {
		p, result := newTestProbe(nil), make(chan error, 1)
		p.waiting[result] = 1
		p.unsent(1, text)
		if ended := len(result) == 1; ended != lasting {
			t.Errorf("%s: the wait has ended: %v, want %v", text, ended, lasting)
		}
	}
}
