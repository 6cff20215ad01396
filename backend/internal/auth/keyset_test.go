package auth

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeStore is the server of a key set.
type fakeStore struct {
	mu    sync.Mutex
	loads int
	response
}

// response is the result of one load.
type response struct {
	text  string
	err   error
	takes time.Duration
}

func (p *fakeStore) load(ctx context.Context) ([]byte, error) {
	p.mu.Lock()
	p.loads++
	a := p.response
	p.mu.Unlock()
	select {
	case <-time.After(a.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return []byte(a.text), a.err
}

// respond sets the response of later loads.
func (p *fakeStore) respond(a response) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.response = a
}

func (p *fakeStore) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loads
}

// keySetJSON returns a set of keys with these ids, and one unusable key.
func keySetJSON(ids ...string) string {
	text := `{"keys":[{"kty":"oct","k":"AAAA"}`
	for _, id := range ids {
		x := base64.RawURLEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize))
		text += fmt.Sprintf(`,{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}`, id, x)
	}
	return text + `]}`
}

var errUnavailable = errors.New("unavailable")

// withKeys runs a test in a synctest bubble with a key set that is refreshed.
func withKeys(t *testing.T, test func(t *testing.T, p *fakeStore, s *KeySet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &fakeStore{response: response{text: keySetJSON("first")}}
		s := &KeySet{load: p.load, log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Run(ctx)
		synctest.Wait()
		test(t, p, s)
	})
}

// checkKey checks how many keys are found for an id, and the error if no key is found.
func checkKey(t *testing.T, s *KeySet, id string, want int, is error) {
	t.Helper()
	found, err := s.find(t.Context(), id, edDSA)
	if len(found) != want || !errors.Is(err, is) {
		t.Errorf("key %q: got %d keys, error %v; want %d, %v", id, len(found), err, want, is)
	}
}

func TestKeySet_UnknownKeyReloads(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *fakeStore, s *KeySet) {
		checkKey(t, s, "first", 1, nil)
		p.respond(response{text: keySetJSON("first", "second")})
		time.Sleep(refreshPause)
		checkKey(t, s, "second", 1, nil)
		checkKey(t, s, "first", 1, nil)
		checkKey(t, s, "", 2, nil)
		if n := p.count(); n != 2 {
			t.Errorf("got %d loads, want 2", n)
		}
	})
}

func TestKeySet_UnknownKeysAreRateLimited(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *fakeStore, s *KeySet) {
		p.respond(response{text: keySetJSON("first"), takes: time.Second})
		time.Sleep(refreshPause)
		var finding sync.WaitGroup
		for i := range 1000 {
			finding.Go(func() { checkKey(t, s, fmt.Sprint("made up ", i), 0, nil) })
		}
		finding.Wait()
		if n := p.count(); n != 2 {
			t.Errorf("got %d loads, want 2", n)
		}
	})
}

func TestKeySet_KeepsKeysWhenLoadFails(t *testing.T) {
	t.Parallel()
	for name, spoilt := range map[string]response{
		"away":      {err: errUnavailable},
		"no set":    {text: "<html>"},
		"empty":     {text: `{"keys":[]}`},
		"unusable":  {text: keySetJSON()},
		"too slow":  {text: keySetJSON("second"), takes: time.Hour},
		"no object": {text: "null"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withKeys(t, func(t *testing.T, p *fakeStore, s *KeySet) {
				p.respond(spoilt)
				time.Sleep(24 * time.Hour)
				checkKey(t, s, "first", 1, nil)
				checkKey(t, s, "second", 0, ErrNoKeys) // the key may be in the current set
				p.respond(response{text: keySetJSON("second")})
				time.Sleep(refreshRetry + loadTimeout)
				checkKey(t, s, "second", 1, nil)
				checkKey(t, s, "first", 0, nil) // the key was revoked
			})
		})
	}
}

func TestKeySet_VerifiesDuringLoad(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *fakeStore, s *KeySet) {
		p.respond(response{text: keySetJSON("first"), takes: loadTimeout / 2})
		time.Sleep(refreshInterval)
		synctest.Wait() // the load has just begun
		start := time.Now()
		checkKey(t, s, "first", 1, nil)
		if took := time.Since(start); took > 0 {
			t.Errorf("verification took %s", took)
		}
	})
}

func TestKeySet_LoadSurvivesClient(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *fakeStore, s *KeySet) {
		time.Sleep(refreshPause)
		p.respond(response{text: keySetJSON("second")})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = s.find(gone, "second", edDSA)
		checkKey(t, s, "second", 1, nil)
	})
}

// If each waiting request started its own load, the last one would wait for all of them.
func TestKeySet_WaitersShareLoad(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *fakeStore, s *KeySet) {
		time.Sleep(refreshPause)
		p.respond(response{takes: time.Hour})
		before, start := p.count(), time.Now()
		var finding sync.WaitGroup
		for i := range 100 {
			finding.Go(func() { checkKey(t, s, fmt.Sprint("made up ", i), 0, ErrNoKeys) })
		}
		finding.Wait()
		if took := time.Since(start); took > loadTimeout {
			t.Errorf("waited %s, want at most the time of one load, %s", took, loadTimeout)
		}
		checkKey(t, s, "made up later", 0, ErrNoKeys)
		if n := p.count() - before; n != 1 {
			t.Errorf("got %d loads, want 1", n)
		}
	})
}

func TestKeySet_CanceledClientDoesNotWait(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *fakeStore, s *KeySet) {
		time.Sleep(refreshPause)
		p.respond(response{takes: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := s.find(ctx, "second", edDSA); !errors.Is(err, ErrNoKeys) {
			t.Errorf("got error %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited %s after the client disconnected", took-time.Second)
		}
	})
}
