package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Supported algorithms of token signatures (RFC 7518, section 3.1, and RFC 8037).
const (
	hs256 = "HS256"
	rs256 = "RS256"
	es256 = "ES256"
	edDSA = "EdDSA"
)

// verifier verifies tokens and returns their grants.
type verifier struct {
	secret []byte
	keys   *KeySet
	parser *jwt.Parser
}

func newVerifier(secret string, keys *KeySet) *verifier {
	var algorithms []string
	if secret != "" {
		algorithms = append(algorithms, hs256)
	}
	if keys != nil {
		algorithms = append(algorithms, rs256, es256, edDSA)
	}
	// Strict decoding rejects other base64url encodings of the same token.
	parser := jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
	return &verifier{[]byte(secret), keys, parser}
}

// errCritical is returned for a token whose header has crit. Its extensions must be understood
// (RFC 7515, section 4.1.11), and Sluice supports none.
var errCritical = errors.New("crit is not supported")

// latest is the latest expiry of a grant. Durations until much later times overflow 64 bits.
var latest = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// verify returns the grant of a token, without the permissions of anyone. Its errors contain
// nothing from the token except the name of a topic that is not valid.
func (v *verifier) verify(ctx context.Context, text string) (Grant, error) {
	var c claims
	_, err := v.parser.ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) { return v.verificationKey(ctx, t) })
	if err != nil {
		return Grant{}, explain(err)
	}
	expires := c.expires.Time
	if expires.After(latest) {
		expires = latest
	}
	return Grant{
		Subscribe: c.subscribe,
		Publish:   c.publish,
		Expires:   expires,
		Holder:    holder(text),
		Subject:   c.subject,
	}, nil
}

// verificationKey returns the secret or the keys that may verify a token, after it has checked the
// header. The algorithm of the token selects the type of the key. Otherwise a public key could be
// used as a secret.
func (v *verifier) verificationKey(ctx context.Context, t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, errCritical
	}
	header, _, _ := strings.Cut(t.Raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return nil, err
	}
	if err := checkMembers(text); err != nil {
		return nil, err
	}
	if t.Method.Alg() == hs256 {
		return v.secret, nil
	}
	id, _ := t.Header["kid"].(string)
	found, err := v.keys.find(ctx, id, t.Method.Alg())
	set := jwt.VerificationKeySet{}
	for _, key := range found {
		set.Keys = append(set.Keys, key)
	}
	return set, err
}

// holder returns an id of a token: a hash of its signed part. The signature is left out, because
// one token can have several valid signatures.
func holder(token string) string {
	signed := token[:strings.LastIndexByte(token, '.')]
	sum := sha256.Sum256([]byte(signed))
	return string(sum[:])
}

// explain returns the error for the bearer of a token that was rejected.
func explain(err error) error {
	reason := "it is not a JWT in compact form"
	var claim claimError
	switch {
	case errors.Is(err, ErrNoKeys):
		return err
	case errors.Is(err, errCritical):
		reason = "its header has crit, and this server supports no extensions"
	case errors.As(err, &claim):
		reason = claim.Error()
	case errors.Is(err, jwt.ErrTokenExpired):
		reason = "it has expired; get a new one"
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		reason = "it is not valid yet (nbf)"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		reason = "it has no exp, which is required"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		reason = "it is not signed with a key and an algorithm that this server accepts"
	case errors.As(err, new(*json.UnmarshalTypeError)):
		reason = `one of its claims has the wrong type; sluice is {"subscribe": ["channel:a"], "publish": []}, sub is a string`
	}
	return fmt.Errorf("%w: %s", ErrInvalidToken, reason)
}
