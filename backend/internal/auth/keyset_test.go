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

// place is where a key set lies.
type place struct {
	mu    sync.Mutex
	loads int
	answer
}

// answer is what loading it gives.
type answer struct {
	text  string
	err   error
	takes time.Duration
}

func (p *place) load(ctx context.Context) ([]byte, error) {
	p.mu.Lock()
	p.loads++
	a := p.answer
	p.mu.Unlock()
	select {
	case <-time.After(a.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return []byte(a.text), a.err
}

// put has the place answer in another way.
func (p *place) put(a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = a
}

func (p *place) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loads
}

// setOf returns a set of keys with these ids, and one that is of no use.
func setOf(ids ...string) string {
	text := `{"keys":[{"kty":"oct","k":"AAAA"}`
	for _, id := range ids {
		x := base64.RawURLEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize))
		text += fmt.Sprintf(`,{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}`, id, x)
	}
	return text + `]}`
}

var errAway = errors.New("it is away")

// withKeys runs a test with a key set that is kept up to date, on a clock of its own.
func withKeys(t *testing.T, test func(t *testing.T, p *place, s *KeySet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &place{answer: answer{text: setOf("first")}}
		s := newKeySet(p.load, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Run(ctx)
		synctest.Wait()
		test(t, p, s)
	})
}

// has checks whether a key is found, and if not, with which error.
func has(t *testing.T, s *KeySet, id string, want int, is error) {
	t.Helper()
	found, err := s.find(t.Context(), id, edDSA)
	if len(found) != want || !errors.Is(err, is) {
		t.Errorf("of %q %d keys are found, %v; want %d, %v", id, len(found), err, want, is)
	}
}

func TestKeySet_UnknownKeyIsLookedForAtOnce(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *place, s *KeySet) {
		has(t, s, "first", 1, nil)
		p.put(answer{text: setOf("first", "second")})
		time.Sleep(refreshPause)
		has(t, s, "second", 1, nil)
		has(t, s, "first", 1, nil)
		has(t, s, "", 2, nil)
		if n := p.count(); n != 2 {
			t.Errorf("the set was loaded %d times, want 2", n)
		}
	})
}

func TestKeySet_MadeUpKeysDoNotMakeItLoadAllTheTime(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *place, s *KeySet) {
		p.put(answer{text: setOf("first"), takes: time.Second})
		time.Sleep(refreshPause)
		var finding sync.WaitGroup
		for i := range 1000 {
			finding.Go(func() { has(t, s, fmt.Sprint("made up ", i), 0, nil) })
		}
		finding.Wait()
		if n := p.count(); n != 2 {
			t.Errorf("the set was loaded %d times, want 2", n)
		}
	})
}

func TestKeySet_KeysStayWhileItCannotBeLoaded(t *testing.T) {
	t.Parallel()
	for name, spoilt := range map[string]answer{
		"away":      {err: errAway},
		"no set":    {text: "<html>"},
		"empty":     {text: `{"keys":[]}`},
		"unusable":  {text: setOf()},
		"too slow":  {text: setOf("second"), takes: time.Hour},
		"no object": {text: "null"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withKeys(t, func(t *testing.T, p *place, s *KeySet) {
				p.put(spoilt)
				time.Sleep(24 * time.Hour)
				has(t, s, "first", 1, nil)
				has(t, s, "second", 0, ErrNoKeys) // it may be in the set, for all one knows
				p.put(answer{text: setOf("second")})
				time.Sleep(refreshRetry + loadTimeout)
				has(t, s, "second", 1, nil)
				has(t, s, "first", 0, nil) // it was taken back
			})
		})
	}
}

func TestKeySet_TokensAreVerifiedWhileItLoads(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *place, s *KeySet) {
		p.put(answer{text: setOf("first"), takes: loadTimeout / 2})
		time.Sleep(refreshInterval)
		synctest.Wait() // the load has just begun
		start := time.Now()
		has(t, s, "first", 1, nil)
		if took := time.Since(start); took > 0 {
			t.Errorf("it takes %s", took)
		}
	})
}

func TestKeySet_LoadGoesOnWhenItsClientIsGone(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *place, s *KeySet) {
		time.Sleep(refreshPause)
		p.put(answer{text: setOf("second")})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = s.find(gone, "second", edDSA)
		has(t, s, "second", 1, nil)
	})
}

// If each of them had a load of its own, the last one would wait for all of them.
func TestKeySet_AllWhoWaitForOneLoadShareIt(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *place, s *KeySet) {
		time.Sleep(refreshPause)
		p.put(answer{takes: time.Hour})
		before, start := p.count(), time.Now()
		var finding sync.WaitGroup
		for i := range 100 {
			finding.Go(func() { has(t, s, fmt.Sprint("made up ", i), 0, ErrNoKeys) })
		}
		finding.Wait()
		if took := time.Since(start); took > loadTimeout {
			t.Errorf("it takes %s, want no more than one load, %s", took, loadTimeout)
		}
		has(t, s, "made up later", 0, ErrNoKeys)
		if n := p.count() - before; n != 1 {
			t.Errorf("the set was loaded %d times, want 1", n)
		}
	})
}

func TestKeySet_ClientThatIsGoneDoesNotWait(t *testing.T) {
	t.Parallel()
	withKeys(t, func(t *testing.T, p *place, s *KeySet) {
		time.Sleep(refreshPause)
		p.put(answer{takes: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := s.find(ctx, "second", edDSA); !errors.Is(err, ErrNoKeys) {
			t.Errorf("the error is %v", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("it waits for %s after it was gone", took-time.Second)
		}
	})
}
