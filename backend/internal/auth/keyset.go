package auth

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// refreshInterval is the time between two loads of a key set, refreshRetry the one after
	// a load that failed.
	refreshInterval = 15 * time.Minute
	refreshRetry    = 30 * time.Second
	// refreshPause is the least time from one load to the next that tokens ask for: whoever
	// sends made-up names of keys must not make this server a burden to another.
	refreshPause = 10 * time.Second
	// loadTimeout bounds one load.
	loadTimeout = 10 * time.Second
	// maxKeySet bounds the size of a key set in bytes.
	maxKeySet = 1 << 20
)

// KeySet is a JSON Web Key Set in a file or at a URL. It is loaded every now and then,
// and when a token names a key that it does not have. When a load fails, the keys of the
// last one stay.
type KeySet struct {
	load func(context.Context) ([]byte, error)
	log  *slog.Logger

	known atomic.Pointer[keys]

	mu      sync.Mutex
	loading chan struct{}      // closed when the load that is under way ends, nil if there is none
	cancel  context.CancelFunc // ends that load
}

// keys is what a [KeySet] knows.
type keys struct {
	all   []publicKey
	tried time.Time // when the last load ended
	err   error     // of the last load
}

// OpenKeyFile returns the set in a file, which must be there and whole.
func OpenKeyFile(path string, log *slog.Logger) (*KeySet, error) {
	s := newKeySet(func(context.Context) ([]byte, error) { return os.ReadFile(path) }, log) //nolint:gosec // the operator names the file
	return s, s.refresh(context.Background(), 0)
}

// OpenKeyURL returns the set at a URL, which need not be reachable yet: what is open to
// anyone needs no keys, and tokens are taken as soon as there are some.
func OpenKeyURL(address string, log *slog.Logger) *KeySet {
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	return newKeySet(func(ctx context.Context) ([]byte, error) { return fetch(ctx, client, address) }, log)
}

func newKeySet(load func(context.Context) ([]byte, error), log *slog.Logger) *KeySet {
	s := &KeySet{load: load, log: log}
	s.known.Store(new(keys))
	return s
}

// Run loads the set, and every now and then again, until the context ends.
func (s *KeySet) Run(ctx context.Context) {
	defer s.stop()
	for {
		wait := refreshInterval
		if err := s.refresh(ctx, refreshPause); err != nil && ctx.Err() == nil {
			s.log.Warn("the keys for tokens cannot be loaded; trying again, with the last ones until then", "error", err)
			wait = refreshRetry
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// Reload loads the set now. After an error the keys of the last load stay.
func (s *KeySet) Reload(ctx context.Context) error {
	return s.refresh(ctx, 0)
}

// find returns the keys that may have signed a token: of that algorithm, and with that id
// if the token gives one. The error wraps [ErrNoKeys] where the right one may be in a set
// that cannot be loaded.
func (s *KeySet) find(ctx context.Context, id, algorithm string) ([]crypto.PublicKey, error) {
	if found := s.known.Load().find(id, algorithm); len(found) > 0 {
		return found, nil
	}
	err := s.refresh(ctx, refreshPause)
	found := s.known.Load().find(id, algorithm)
	if len(found) == 0 && err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoKeys, err)
	}
	return found, nil
}

func (k *keys) find(id, algorithm string) []crypto.PublicKey {
	var found []crypto.PublicKey
	for _, key := range k.all {
		if key.algorithm == algorithm && (id == "" || id == key.id) {
			found = append(found, key.key)
		}
	}
	return found
}

// refresh has the set loaded, unless that was done less than the pause ago, and returns
// the error of the last load. A load is for all who wait for it, and goes on when one of
// them no longer does.
func (s *KeySet) refresh(ctx context.Context, pause time.Duration) error {
	if loaded := s.begin(pause); loaded != nil {
		select {
		case <-loaded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.known.Load().err
}

// begin starts a load unless one is under way. It returns a channel that is closed when
// the load ends, nil if the last one is less than the pause ago.
func (s *KeySet) begin(pause time.Duration) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loading == nil && time.Since(s.known.Load().tried) >= pause {
		ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
		s.loading, s.cancel = make(chan struct{}), cancel
		go s.finish(ctx)
	}
	return s.loading
}

// finish does the load that begin has started.
func (s *KeySet) finish(ctx context.Context) {
	known := *s.known.Load()
	all, err := s.read(ctx)
	if err == nil {
		known.all = all
	}
	known.err, known.tried = err, time.Now()

	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.Store(&known)
	s.cancel()
	close(s.loading)
	s.loading = nil
}

// stop ends a load that is under way.
func (s *KeySet) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loading != nil {
		s.cancel()
	}
}

func (s *KeySet) read(ctx context.Context) ([]publicKey, error) {
	text, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	return parseKeys(text)
}

// fetch reads what is at a URL. The errors leave out the URL, which may hold a password.
func fetch(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the URL cannot be read")
	}
	response, err := client.Do(request)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err == nil && len(text) > maxKeySet {
		err = fmt.Errorf("the set is larger than %d bytes", maxKeySet)
	}
	return text, err
}
