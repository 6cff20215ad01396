package auth_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"sluice/internal/auth"
)

func TestKeySet_IgnoresUnsuitableKeys(t *testing.T) {
	t.Parallel()
	good := jwk("good", ecKey)
	shared := map[string]string{"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}
	a, err := auth.New(auth.Options{Keys: keyFile(t, good, shared,
		jwk("short", shortRSAKey),
		jwk("p384", p384Key),
		changed(jwk("encrypts", rsaKey), "use", "enc"),
		changed(jwk("pss", rsaKey), "alg", "PS256"),
		changed(jwk("off the curve", ecKey), "y", good["x"]),
		changed(jwk("even", rsaKey), "e", "AA"),
		changed(jwk("half", edKey), "x", "AAAA"),
	)})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token string
		taken bool
	}{
		"good":            {sign(jwt.SigningMethodES256, ecKey, "good", inAnHour()), true},
		"too short":       {sign(jwt.SigningMethodRS256, shortRSAKey, "short", inAnHour()), false},
		"another curve":   {sign(jwt.SigningMethodES384, p384Key, "p384", inAnHour()), false},
		"for encryption":  {sign(jwt.SigningMethodRS256, rsaKey, "encrypts", inAnHour()), false},
		"of another kind": {sign(jwt.SigningMethodRS256, rsaKey, "pss", inAnHour()), false},
		"without an id":   {sign(jwt.SigningMethodRS256, rsaKey, "", inAnHour()), false},
		"symmetric":       {sign(jwt.SigningMethodHS256, []byte("secret"), "shared", inAnHour()), false},
		"of no secret":    {sign(jwt.SigningMethodHS256, []byte{}, "", inAnHour()), false},
	} {
		if _, err := grant(a, bearer(tt.token)); (err == nil) != tt.taken {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func TestKeySet_BadFileIsOneLineError(t *testing.T) {
	t.Parallel()
	for name, text := range map[string][]byte{
		"none":            nil,
		"not JSON":        []byte("keys"),
		"not a set":       []byte("{}"),
		"no keys":         keySet(),
		"no usable key":   keySet(jwk("a", p384Key), jwk("b", shortRSAKey)),
		"not even a key":  []byte(`{"keys":[1]}`),
		"keys are no set": []byte(`[]`),
	} {
		path := filepath.Join(t.TempDir(), "jwks.json")
		if text != nil {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := auth.OpenKeyFile(path, quiet)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// awaitLog returns what a key set logs at its first load.
func awaitLog(t *testing.T, address string) string {
	t.Helper()
	said := make(chan string, 8)
	set := auth.OpenKeyURL(address, slog.New(slog.NewTextHandler(writer(said), nil)))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		set.Run(t.Context())
	}()
	t.Cleanup(func() { <-ended })
	return <-said
}

type writer chan<- string

func (w writer) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func TestKeySet_BadURLIsLoggedWithoutSecrets(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			_, _ = w.Write(append(bytes.Repeat([]byte(" "), 2<<20), keySet(jwk("ed", edKey))...))
		case "/html":
			_, _ = w.Write([]byte("<html>"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	base := strings.Replace(server.URL, "://", "://user:hunter2@", 1)
	for name, tt := range map[string]struct{ address, has string }{
		"too large": {base + "/large?key=hunter2", "larger"},
		"HTML":      {base + "/html?key=hunter2", "JSON"},
		"not found": {base + "/none?key=hunter2", "404"},
		"no server": {"http://user:hunter2@127.0.0.1:1/?key=hunter2", "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			if said := awaitLog(t, tt.address); !strings.Contains(said, tt.has) || strings.Contains(said, "hunter2") {
				t.Errorf("got log %q", said)
			}
		})
	}
}
