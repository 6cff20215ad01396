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

// The algorithms that tokens may be signed with (RFC 7518, section 3.1, and RFC 8037).
const (
	hs256 = "HS256"
	rs256 = "RS256"
	es256 = "ES256"
	edDSA = "EdDSA"
)

// verifier turns tokens into grants.
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
	// Strict, so that one token has one spelling.
	parser := jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
	return &verifier{[]byte(secret), keys, parser}
}

// errCritical is why a token is refused whose header holds crit: it says that the token
// must not be taken by who does not understand certain others (RFC 7515, section 4.1.11),
// and there are none here.
var errCritical = errors.New("crit is not supported")

// latest is when a right ends at the latest: what is later does not fit into clocks of 64
// bits.
var latest = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// verify returns what a token by itself allows. Its errors say nothing that the token
// holds but the name of a bad topic.
func (v *verifier) verify(ctx context.Context, text string) (Grant, error) {
	var c claims
	_, err := v.parser.ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) { return v.keyOf(ctx, t) })
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

// keyOf returns what may verify a token. The token names its algorithm; which key goes
// with an algorithm is not its choice, or a public key could pass as a secret.
func (v *verifier) keyOf(ctx context.Context, t *jwt.Token) (any, error) {
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

// holder names the bearer of a token by what is signed: a signature can be written in
// more than one way.
func holder(token string) string {
	signed := token[:strings.LastIndexByte(token, '.')]
	sum := sha256.Sum256([]byte(signed))
	return string(sum[:])
}

// explain returns what to tell the bearer of a token that was not taken.
func explain(err error) error {
	why := "it is not a JWT in compact form"
	var claim claimError
	switch {
	case errors.Is(err, ErrNoKeys):
		return err
	case errors.Is(err, errCritical):
		why = "its header has crit, and this server knows none of the extensions that it may name"
	case errors.As(err, &claim):
		why = claim.Error()
	case errors.Is(err, jwt.ErrTokenExpired):
		why = "it has expired; get a new one"
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		why = "its time (nbf) has not come yet"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		why = "it has no exp, which is required"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		why = "it is not signed with a key and an algorithm that this server takes"
	case errors.As(err, new(*json.UnmarshalTypeError)):
		why = `one of its claims has the wrong type; sluice is {"subscribe": ["channel:a"], "publish": []}, sub is a string`
	}
	return fmt.Errorf("%w: %s", ErrInvalidToken, why)
}
