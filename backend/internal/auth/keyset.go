package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// refreshInterval is the time from a load of a key set to the next one, and refreshRetry
	// the time after a failed load.
	refreshInterval = 15 * time.Minute
	refreshRetry    = 30 * time.Second
	// refreshPause is the minimum time between loads because of unknown key ids. Without it,
	// clients could make this server flood the server of the key set with requests.
	refreshPause = 10 * time.Second
	// loadTimeout bounds one load.
	loadTimeout = 10 * time.Second
	// maxKeySet bounds the size of a key set in bytes.
	maxKeySet = 1 << 20
)

// KeySet is a JSON Web Key Set in a file or at a URL. It is loaded periodically, and when a token
// names an unknown key. After a failed load the previous keys stay in use. Its methods may be
// called from any goroutine.
type KeySet struct {
	load func(context.Context) ([]byte, error)
	log  *slog.Logger

	mu      sync.Mutex
	keys    []publicKey
	tried   time.Time          // end of the last load
	err     error              // error of the last load, or nil
	loading chan struct{}      // closed when the current load ends; nil if no load is in progress
	cancel  context.CancelFunc // cancels the current load
}

// OpenKeyFile returns the key set in a file. It returns an error if the file cannot be loaded.
func OpenKeyFile(path string, log *slog.Logger) (*KeySet, error) {
	read := func(context.Context) ([]byte, error) { return os.ReadFile(path) } //nolint:gosec // the operator names the file
	s := &KeySet{log: log, load: read}
	return s, s.refresh(context.Background(), 0)
}

// OpenKeyURL returns the key set at a URL. It does not wait for the first load: topics that are
// allowed to anyone need no keys, and tokens are accepted as soon as the set is loaded.
func OpenKeyURL(address string, log *slog.Logger) *KeySet {
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	return &KeySet{log: log, load: func(ctx context.Context) ([]byte, error) { return fetch(ctx, client, address) }}
}

// Run loads the set periodically until the context ends. It logs failed loads.
func (s *KeySet) Run(ctx context.Context) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.loading != nil {
			s.cancel()
		}
	}()
	for {
		wait := refreshInterval
		if err := s.refresh(ctx, refreshPause); err != nil && ctx.Err() == nil {
			s.log.Warn("keys for tokens not loaded; the previous keys stay in use", "error", err, "retry_in", refreshRetry)
			wait = refreshRetry
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// Reload loads the set now and waits for the end of the load. After an error the previous keys
// stay in use.
func (s *KeySet) Reload(ctx context.Context) error {
	return s.refresh(ctx, 0)
}

// find returns the keys with an algorithm and an id; an empty id matches every key. If no key
// matches, it loads the set. If that fails too, the error wraps [ErrNoKeys].
func (s *KeySet) find(ctx context.Context, id, algorithm string) ([]jwt.VerificationKey, error) {
	if found := s.known(id, algorithm); len(found) > 0 {
		return found, nil
	}
	err := s.refresh(ctx, refreshPause)
	found := s.known(id, algorithm)
	if len(found) == 0 && err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoKeys, err)
	}
	return found, nil
}

// known is find without a load.
func (s *KeySet) known(id, algorithm string) []jwt.VerificationKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []jwt.VerificationKey
	for _, key := range s.keys {
		if key.algorithm == algorithm && (id == "" || id == key.id) {
			found = append(found, key.key)
		}
	}
	return found
}

// refresh loads the set, unless the last load ended less than pause ago, and returns the error of
// the last load. Concurrent callers share one load. The end of ctx ends the wait, not the load.
func (s *KeySet) refresh(ctx context.Context, pause time.Duration) error {
	s.mu.Lock()
	if s.loading == nil && time.Since(s.tried) >= pause {
		loadCtx, cancel := context.WithTimeout(context.Background(), loadTimeout)
		s.loading, s.cancel = make(chan struct{}), cancel
		go s.finish(loadCtx)
	}
	loading := s.loading
	s.mu.Unlock()
	if loading != nil {
		select {
		case <-loading:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// finish performs the load that refresh started, and stores its result.
func (s *KeySet) finish(ctx context.Context) {
	var keys []publicKey
	text, err := s.load(ctx)
	if err == nil {
		keys, err = parseKeys(text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.keys = keys
	}
	s.err, s.tried = err, time.Now()
	s.cancel()
	close(s.loading)
	s.loading = nil
}

// fetch returns the body at a URL. Its errors do not contain the URL, which may hold a password.
func fetch(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("the URL is not valid")
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
		return nil, fmt.Errorf("the response is %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxKeySet+1))
	if err == nil && len(text) > maxKeySet {
		err = fmt.Errorf("the set is larger than %d bytes", maxKeySet)
	}
	return text, err
}
