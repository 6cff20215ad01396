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
	"sync/atomic"
	"time"
)

const (
	// refreshInterval is the time between two loads of a key set, refreshRetry the one after
	// a load that failed.
	refreshInterval = 15 * time.Minute
	refreshRetry    = 30 * time.Second
	// refreshPause is the least time between two loads that tokens ask for: whoever sends
	// made-up names of keys must not make this server a burden to another.
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

	known   atomic.Pointer[keys]
	loading chan struct{} // holds one while a load is under way
}

// keys is what a [KeySet] knows.
type keys struct {
	all   []publicKey
	tried time.Time // when the last load began
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
	s := &KeySet{load: load, log: log, loading: make(chan struct{}, 1)}
	s.known.Store(new(keys))
	return s
}

// Run loads the set, and every now and then again, until the context ends.
func (s *KeySet) Run(ctx context.Context) {
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

// find returns the keys that may have signed a token: of that algorithm, and with that id
// if the token gives one. The error wraps [ErrNoKeys] where the right one may be in a set
// that cannot be loaded.
func (s *KeySet) find(ctx context.Context, id, algorithm string) ([]crypto.PublicKey, error) {
	if found := s.known.Load().find(id, algorithm); len(found) > 0 {
		return found, nil
	}
	// The load is for all, and goes on when this client is gone.
	err := s.refresh(context.WithoutCancel(ctx), refreshPause)
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

// refresh loads the set, unless that was done less than the pause ago: by another request
// in the meantime, for instance. It returns the error of the last load.
func (s *KeySet) refresh(ctx context.Context, pause time.Duration) error {
	s.loading <- struct{}{}
	defer func() { <-s.loading }()
	known := *s.known.Load()
	if time.Since(known.tried) < pause {
		return known.err
	}
	known.tried = time.Now()
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	all, err := s.read(ctx)
	if err == nil {
		known.all = all
	}
	known.err = err
	s.known.Store(&known)
	return err
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
