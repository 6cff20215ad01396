package auth_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/internal/auth"
)

func TestToken_GrantsClaimsForEveryAlgorithm(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	for name, token := range map[string]string{
		"HS256":                 symmetric(inAnHour()),
		"HS256 with a key's id": sign(jwt.SigningMethodHS256, []byte(secret), "rsa", inAnHour()),
		"RS256":                 sign(jwt.SigningMethodRS256, rsaKey, "rsa", inAnHour()),
		"ES256":                 sign(jwt.SigningMethodES256, ecKey, "ec", inAnHour()),
		"EdDSA":                 sign(jwt.SigningMethodEdDSA, edKey, "ed", inAnHour()),
		"without a key's id":    sign(jwt.SigningMethodES256, ecKey, "", inAnHour()),
		"nbf in the past":       symmetric(inAnHour(with("nbf", time.Now().Add(-time.Minute).Unix()))),
		"issued in the future":  symmetric(inAnHour(with("iat", time.Now().Add(time.Minute).Unix()))),
		"other claims":          symmetric(inAnHour(with("sub", "42"), with("roles", []int{1}))),
		"exp with a fraction":   symmetric(inAnHour(with("exp", float64(time.Now().Add(time.Hour).UnixMilli())/1000))),
	} {
		g, err := grant(a, bearer(token))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, allowed := range []string{"channel:updates", "channel:user.42", "stream:orders:7", "stream:orders:*"} {
			if err := g.MaySubscribe(topic(allowed)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, other := range []string{"channel:user.43", "channel:user.*", "stream:orders", "key:user.42", "channel:*"} {
			if err := g.MaySubscribe(topic(other)); !errors.Is(err, auth.ErrNotAllowed) || errors.Is(err, auth.ErrTokenNeeded) {
				t.Errorf("%s: subscribe to %s: got error %v", name, other, err)
			}
		}
		if err := g.MayPublish(topic("channel:user.42")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := g.MayPublish(topic("channel:updates")); !errors.Is(err, auth.ErrNotAllowed) {
			t.Errorf("%s: publish to a read-only topic: got error %v", name, err)
		}
		if left := time.Until(g.Expires); left <= 0 || left > time.Hour {
			t.Errorf("%s: got expiry in %s", name, left)
		}
	}
}

// An expiry in milliseconds or nanoseconds instead of seconds can overflow a 64-bit time.
func TestToken_DistantExpiryIsValid(t *testing.T) {
	t.Parallel()
	g, err := grant(newAuthorizer(t), bearer(symmetric(inAnHour(with("exp", time.Now().UnixNano())))))
	if err != nil {
		t.Fatal(err)
	}
	if year := g.Expires.Year(); year < 2100 || year > 9999 {
		t.Errorf("got expiry in the year %d", year)
	}
}

func TestToken_WithoutClaimsAllowsOpenTopics(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	for name, claims := range map[string]jwt.MapClaims{
		"none":      inAnHour(without("sluice")),
		"null":      inAnHour(with("sluice", nil)),
		"empty":     inAnHour(with("sluice", map[string]any{})),
		"no topics": inAnHour(with("sluice", map[string]any{"subscribe": nil, "publish": []string{}})),
	} {
		g, err := grant(a, bearer(symmetric(claims)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := g.MaySubscribe(topic("channel:updates")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := g.MaySubscribe(topic("channel:user.42")); !errors.Is(err, auth.ErrNotAllowed) {
			t.Errorf("%s: got a grant for more topics: %v", name, err)
		}
	}
}

func TestToken_Rejects(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	now := time.Now()
	valid := symmetric(inAnHour())
	parts := strings.Split(valid, ".")
	critical := jwt.NewWithClaims(jwt.SigningMethodHS256, inAnHour())
	critical.Header["crit"], critical.Header["https://example.com/once"] = []string{"https://example.com/once"}, true
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for name, tt := range map[string]struct{ token, why string }{
		"expired":                     {symmetric(inAnHour(with("exp", now.Add(-time.Second).Unix()))), "expired"},
		"expiring this second":        {symmetric(inAnHour(with("exp", now.Unix()))), "expired"},
		"without exp":                 {symmetric(inAnHour(without("exp"))), "exp"},
		"exp is not a number":         {symmetric(inAnHour(with("exp", "tomorrow"))), ""},
		"exp is null":                 {symmetric(inAnHour(with("exp", nil))), "exp"},
		"not valid yet":               {symmetric(inAnHour(with("nbf", now.Add(time.Minute).Unix()))), "nbf"},
		"of another secret":           {sign(jwt.SigningMethodHS256, []byte(strings.ToUpper(secret)), "", inAnHour()), "signed"},
		"of another key":              {sign(jwt.SigningMethodRS256, otherKey, "rsa", inAnHour()), "signed"},
		"of an unknown key":           {sign(jwt.SigningMethodRS256, rsaKey, "other", inAnHour()), "signed"},
		"HS384":                       {sign(jwt.SigningMethodHS384, []byte(secret), "", inAnHour()), "signed"},
		"PS256":                       {sign(jwt.SigningMethodPS256, rsaKey, "rsa", inAnHour()), "signed"},
		"RS512":                       {sign(jwt.SigningMethodRS512, rsaKey, "rsa", inAnHour()), "signed"},
		"a key of another type":       {sign(jwt.SigningMethodRS256, rsaKey, "ec", inAnHour()), "signed"},
		"none":                        {sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "", inAnHour()), "signed"},
		"none, signed all the same":   {header(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2], "signed"},
		"nOnE":                        {header(`{"alg":"nOnE"}`) + "." + parts[1] + ".", ""},
		"without a signature":         {parts[0] + "." + parts[1] + ".", "signed"},
		"without alg":                 {header(`{}`) + "." + parts[1] + "." + parts[2], ""},
		"a public key as secret":      {sign(jwt.SigningMethodHS256, publicPEM(rsaKey), "rsa", inAnHour()), "signed"},
		"a modulus as secret":         {sign(jwt.SigningMethodHS256, rsaKey.N.Bytes(), "rsa", inAnHour()), "signed"},
		"a point as secret":           {sign(jwt.SigningMethodHS256, must(ecKey.PublicKey.Bytes()), "ec", inAnHour()), "signed"},
		"an Ed25519 key as secret":    {sign(jwt.SigningMethodHS256, []byte(edKey[32:]), "ed", inAnHour()), "signed"},
		"with a critical header":      {must(critical.SignedString([]byte(secret))), "crit"},
		"changed claims":              {parts[0] + "." + header(`{"exp":99999999999,"sluice":{"subscribe":["channel:*"]}}`) + "." + parts[2], "signed"},
		"with another last character": {valid[:len(valid)-1] + string(valid[len(valid)-1]+1), "JWT"},
		"with padding":                {valid + "=", "JWT"},
		"nothing":                     {"", "JWT"},
		"not a token":                 {"hunter2", "JWT"},
		"five parts":                  {valid + ".a.b", "JWT"},
		"topics as a string":          {symmetric(inAnHour(with("sluice", map[string]any{"subscribe": "channel:a"}))), "wrong type"},
		"a topic without a kind":      {symmetric(inAnHour(with("sluice", map[string]any{"publish": []string{"updates"}}))), `"updates" does not begin with a kind`},
	} {
		_, err := grant(a, bearer(tt.token))
		if !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("%s: got error %v", name, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: got error %q, want it to contain %q", name, err, tt.why)
		}
		if tt.token != "" && strings.Contains(err.Error(), tt.token) {
			t.Errorf("%s: the error contains the token: %s", name, err)
		}
	}
}

func TestToken_HolderIdentifiesSignedClaims(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	claims := inAnHour()
	holder := func(token string) string {
		t.Helper()
		g, err := grant(a, bearer(token))
		if err != nil {
			t.Fatal(err)
		}
		return g.Holder
	}
	// ECDSA signatures of equal claims differ.
	one, same := sign(jwt.SigningMethodES256, ecKey, "ec", claims), sign(jwt.SigningMethodES256, ecKey, "ec", claims)
	if one == same || holder(one) != holder(same) || holder(one) == "" {
		t.Errorf("equal claims: got holders %q and %q", holder(one), holder(same))
	}
	if holder(one) == holder(symmetric(inAnHour(with("sub", "another")))) {
		t.Error("two tokens have the same holder")
	}
	if strings.Contains(one, holder(one)) {
		t.Error("the holder is a substring of the token")
	}
}
