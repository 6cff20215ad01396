package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// latest is the latest expiry of a grant. Durations until much later times overflow 64 bits.
var latest = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// verify returns the permissions of anyone and those of a token. Its errors contain nothing from
// the token except the name of a topic that is not valid.
func (a *Authorizer) verify(ctx context.Context, text string) (Grant, error) {
	if a.parser == nil {
		return Grant{}, fmt.Errorf("%w: %s, or leave the token out", ErrInvalidToken, a.anyone.advice)
	}
	var c claims
	_, err := a.parser.ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) { return a.verificationKey(ctx, t) })
	if err != nil {
		return Grant{}, explain(err)
	}
	expires := c.expires.Time
	if expires.After(latest) {
		expires = latest
	}
	return Grant{
		Subscribe: slices.Concat(a.anyone.Subscribe, c.subscribe),
		Publish:   slices.Concat(a.anyone.Publish, c.publish),
		Expires:   expires,
		Holder:    holder(text),
		Subject:   c.subject,
	}, nil
}

// verificationKey returns the secret or the keys that may verify a token, after it has checked the
// header. The algorithm of the token selects the type of the key. Otherwise a public key could be
// used as a secret.
func (a *Authorizer) verificationKey(ctx context.Context, t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, claimError{"its header has crit, and this server supports no extensions"} // RFC 7515, section 4.1.11
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
		return a.secret, nil
	}
	id, _ := t.Header["kid"].(string)
	found, err := a.keys.find(ctx, id, t.Method.Alg())
	return jwt.VerificationKeySet{Keys: found}, err
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
