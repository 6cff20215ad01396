package auth_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/internal/auth"
)

// signText returns a token with a literal header and literal claims.
func signText(header, claims string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(header)) + "." + b64([]byte(claims))
	return signed + "." + b64(must(jwt.SigningMethodHS256.Sign(signed, []byte(secret))))
}

const plainHeader = `{"alg":"HS256","typ":"JWT"}`

func TestClaims_RejectsAmbiguous(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	exp := fmt.Sprint(time.Now().Add(time.Hour).Unix())
	for name, tt := range map[string]struct{ header, claims, why string }{
		"two exp":                    {plainHeader, `{"exp":1,"exp":` + exp + `}`, "same name"},
		"two sluice":                 {plainHeader, `{"exp":` + exp + `,"sluice":{},"sluice":{"subscribe":["channel:*"]}}`, "same name"},
		"two subscribe":              {plainHeader, `{"exp":` + exp + `,"sluice":{"subscribe":[],"subscribe":["channel:*"]}}`, "same name"},
		"one of two is escaped":      {plainHeader, `{"exp":` + exp + `,"\u0065xp":` + exp + `}`, "same name"},
		"two in a nested claim":      {plainHeader, `{"exp":` + exp + `,"app":[1,{"a":{"b":1,"b":2}}]}`, "same name"},
		"two after a nested object":  {plainHeader, `{"a":{"x":[{}]},"exp":` + exp + `,"a":1}`, "same name"},
		"two alg":                    {`{"alg":"none","alg":"HS256"}`, `{"exp":` + exp + `}`, ""},
		"exp is a quoted number":     {plainHeader, `{"exp":"` + exp + `"}`, "numbers"},
		"nbf is a quoted number":     {plainHeader, `{"exp":` + exp + `,"nbf":"1"}`, "numbers"},
		"iat is a quoted number":     {plainHeader, `{"exp":` + exp + `,"iat":"1"}`, "numbers"},
		"nbf is null":                {plainHeader, `{"exp":` + exp + `,"nbf":null}`, "numbers"},
		"nbf is out of range":        {plainHeader, `{"exp":` + exp + `,"nbf":1e300}`, "numbers"},
		"exp is out of range":        {plainHeader, `{"exp":1e300}`, "numbers"},
		"exp is larger than a float": {plainHeader, `{"exp":1e999}`, "numbers"},
		"exp is negative":            {plainHeader, `{"exp":-1}`, "numbers"},
		"EXP":                        {plainHeader, `{"EXP":` + exp + `}`, "exp"},
		"sub is a number":            {plainHeader, `{"exp":` + exp + `,"sub":42}`, "sub"},
		"claims are a list":          {plainHeader, `[{"exp":` + exp + `}]`, ""},
		"claims are null":            {plainHeader, `null`, "exp"},
	} {
		_, err := grant(a, bearer(signText(tt.header, tt.claims)))
		if !errors.Is(err, auth.ErrInvalidToken) || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: got error %v, want one with %q", name, err, tt.why)
		}
	}
}

func TestClaims_NamesMatchExactly(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	exp := fmt.Sprint(time.Now().Add(time.Hour).Unix())
	for _, claims := range []string{
		`{"exp":` + exp + `,"SLUICE":{"subscribe":["channel:*"],"publish":["channel:*"]}}`,
		`{"exp":` + exp + `,"sluice":{"SUBSCRIBE":["channel:*"],"Publish":["channel:*"]}}`,
		`{"exp":` + exp + `,"\u017fluice":{"subscribe":["channel:*"]}}`, // folds to s
	} {
		g, err := grant(a, bearer(signText(plainHeader, claims)))
		if err != nil {
			t.Errorf("%s: %v", claims, err)
			continue
		}
		if err := g.MaySubscribe(topic("channel:secret")); !errors.Is(err, auth.ErrNotAllowed) {
			t.Errorf("%s: subscribe: got error %v", claims, err)
		}
		if err := g.MayPublish(topic("channel:secret")); !errors.Is(err, auth.ErrNotAllowed) {
			t.Errorf("%s: publish: got error %v", claims, err)
		}
	}
}

func TestClaims_DeepNesting(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	deep := strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000)
	if _, err := grant(a, bearer(signText(plainHeader, `{"exp":1,"a":`+deep+`}`))); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("got error %v", err)
	}
}

func TestGrant_SubjectIsClaimSub(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	for want, claims := range map[string]jwt.MapClaims{"42": inAnHour(with("sub", "42")), "": inAnHour()} {
		g, err := grant(a, bearer(symmetric(claims)))
		if err != nil || g.Subject != want {
			t.Errorf("got subject %q, want %q, error %v", g.Subject, want, err)
		}
	}
}

func TestGrant_TrimmingRequiresToken(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	orders := topic("stream:orders")
	g, err := grant(a, request("/events"))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.MayTrim(orders); !errors.Is(err, auth.ErrTokenNeeded) {
		t.Errorf("without a token: got error %v", err)
	}
	if g, err = grant(a, bearer(symmetric(inAnHour()))); err != nil {
		t.Fatal(err)
	}
	if err := g.MayTrim(orders); err != nil {
		t.Errorf("with a token: got error %v", err)
	}
}
