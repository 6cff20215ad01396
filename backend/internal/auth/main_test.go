package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"sluice/internal/auth"
	"sluice/internal/event"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const secret = "0123456789abcdef0123456789abcdef"

var (
	quiet = slog.New(slog.DiscardHandler)

	rsaKey, otherKey = newRSA(2048), newRSA(2048)
	shortRSAKey      = newRSA(1024)
	ecKey            = newEC(elliptic.P256())
	p384Key          = newEC(elliptic.P384())
	edKey            = newEd25519()
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newRSA(bits int) *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, bits)) }
func newEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(curve, rand.Reader))
}
func newEd25519() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return must(key, err)
}

// inAnHour returns claims for one topic of each right that expire in an hour.
func inAnHour(more ...func(jwt.MapClaims)) jwt.MapClaims {
	c := jwt.MapClaims{
		"exp": time.Now().Add(time.Hour).Unix(),
		"sluice": map[string]any{
			"subscribe": []string{"channel:user.42", "stream:orders:*"},
			"publish":   []string{"channel:user.42"},
		},
	}
	for _, change := range more {
		change(c)
	}
	return c
}

func with(name string, value any) func(jwt.MapClaims) {
	return func(c jwt.MapClaims) { c[name] = value }
}

func without(name string) func(jwt.MapClaims) {
	return func(c jwt.MapClaims) { delete(c, name) }
}

// sign returns a token. It omits the key id if id is empty.
func sign(method jwt.SigningMethod, key any, id string, claims jwt.MapClaims) string {
	t := jwt.NewWithClaims(method, claims)
	if id != "" {
		t.Header["kid"] = id
	}
	return must(t.SignedString(key))
}

func symmetric(claims jwt.MapClaims) string {
	return sign(jwt.SigningMethodHS256, []byte(secret), "", claims)
}

// jwk returns a public key as a JSON Web Key.
func jwk(id string, key crypto.Signer) map[string]string {
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "kid": id, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point := must(k.Bytes())
		half := (len(point) - 1) / 2
		return map[string]string{"kty": "EC", "crv": k.Curve.Params().Name, "kid": id, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": id, "x": b64(k)}
	}
	panic("unknown type of key")
}

// changed returns a copy of a key with one more member.
func changed(key map[string]string, name, value string) map[string]string {
	key[name] = value
	return key
}

func keySet(keys ...map[string]string) []byte {
	return must(json.Marshal(map[string]any{"keys": keys}))
}

// keyFile returns a key set with one key of each type.
func keyFile(t *testing.T, keys ...map[string]string) *auth.KeySet {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, keySet(keys...), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := auth.OpenKeyFile(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// newAuthorizer returns an authorizer that accepts all kinds of tokens.
func newAuthorizer(t *testing.T, origins ...string) *auth.Authorizer {
	t.Helper()
	a, err := auth.New(auth.Options{
		Anyone:  auth.Grant{Subscribe: []event.Topic{topic("channel:updates")}},
		Secret:  secret,
		Keys:    keyFile(t, jwk("rsa", rsaKey), jwk("ec", ecKey), jwk("ed", edKey)),
		Origins: origins,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func topic(text string) event.Topic {
	return must(event.ParseGrantTopic(text))
}

// request returns a request with a target and pairs of a header name and value.
func request(target string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// grant returns the grant of a request.
func grant(a *auth.Authorizer, r *http.Request) (auth.Grant, error) {
	return a.Grant(r, r.URL.Query())
}

func bearer(token string) *http.Request {
	return request("/events", "Authorization", "Bearer "+token)
}

// publicPEM returns a public key in PEM format.
func publicPEM(key crypto.Signer) []byte {
	der := must(x509.MarshalPKIXPublicKey(key.Public()))
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
