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

func TestToken_OfEveryAlgorithmAllowsWhatItsClaimsSay(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for name, token := range map[string]string{
		"HS256":                 symmetric(inAnHour()),
		"HS256 with a key's id": sign(jwt.SigningMethodHS256, []byte(secret), "rsa", inAnHour()),
		"RS256":                 sign(jwt.SigningMethodRS256, rsaKey, "rsa", inAnHour()),
		"ES256":                 sign(jwt.SigningMethodES256, ecKey, "ec", inAnHour()),
		"EdDSA":                 sign(jwt.SigningMethodEdDSA, edKey, "ed", inAnHour()),
		"without a key's id":    sign(jwt.SigningMethodES256, ecKey, "", inAnHour()),
		"nbf in the past":       symmetric(inAnHour(with("nbf", time.Now().Add(-time.Minute).Unix()))),
		"issued in no time":     symmetric(inAnHour(with("iat", time.Now().Add(time.Minute).Unix()))),
		"other claims":          symmetric(inAnHour(with("sub", "42"), with("roles", []int{1}))),
		"exp with a fraction":   symmetric(inAnHour(with("exp", float64(time.Now().Add(time.Hour).UnixMilli())/1000))),
	} {
		g, err := grantOf(a, bearer(token))
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
				t.Errorf("%s: subscribing to %s gives %v", name, other, err)
			}
		}
		if err := g.MayPublish(topic("channel:user.42")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := g.MayPublish(topic("channel:updates")); !errors.Is(err, auth.ErrNotAllowed) {
			t.Errorf("%s: publishing to what is only to be read gives %v", name, err)
		}
		if left := time.Until(g.Expires); left <= 0 || left > time.Hour {
			t.Errorf("%s: it expires in %s", name, left)
		}
	}
}

// As one that is meant in milliseconds, or nanoseconds: a clock of 64 bits may not hold it.
func TestToken_ExpiryFarAwayIsStillATime(t *testing.T) {
	t.Parallel()
	g, err := grantOf(newAuthority(t), bearer(symmetric(inAnHour(with("exp", time.Now().UnixNano())))))
	if err != nil {
		t.Fatal(err)
	}
	if year := g.Expires.Year(); year < 2100 || year > 9999 {
		t.Errorf("it expires in the year %d", year)
	}
}

func TestToken_WithoutClaimsAllowsWhatAnyoneMay(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for name, claims := range map[string]jwt.MapClaims{
		"none":      inAnHour(without("sluice")),
		"null":      inAnHour(with("sluice", nil)),
		"empty":     inAnHour(with("sluice", map[string]any{})),
		"no topics": inAnHour(with("sluice", map[string]any{"subscribe": nil, "publish": []string{}})),
	} {
		g, err := grantOf(a, bearer(symmetric(claims)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := g.MaySubscribe(topic("channel:updates")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := g.MaySubscribe(topic("channel:user.42")); !errors.Is(err, auth.ErrNotAllowed) {
			t.Errorf("%s: it may subscribe to more: %v", name, err)
		}
	}
}

func TestToken_IsRefusedWhen(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	now := time.Now()
	valid := symmetric(inAnHour())
	parts := strings.Split(valid, ".")
	critical := jwt.NewWithClaims(jwt.SigningMethodHS256, inAnHour())
	critical.Header["crit"], critical.Header["https://example.com/once"] = []string{"https://example.com/once"}, true
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for name, tt := range map[string]struct{ token, why string }{
		"expired":                   {symmetric(inAnHour(with("exp", now.Add(-time.Second).Unix()))), "expired"},
		"expiring this second":      {symmetric(inAnHour(with("exp", now.Unix()))), "expired"},
		"without exp":               {symmetric(inAnHour(without("exp"))), "exp"},
		"exp is no number":          {symmetric(inAnHour(with("exp", "tomorrow"))), ""},
		"exp is null":               {symmetric(inAnHour(with("exp", nil))), "exp"},
		"not valid yet":             {symmetric(inAnHour(with("nbf", now.Add(time.Minute).Unix()))), "nbf"},
		"of another secret":         {sign(jwt.SigningMethodHS256, []byte(strings.ToUpper(secret)), "", inAnHour()), "signed"},
		"of another key":            {sign(jwt.SigningMethodRS256, strangersKey, "rsa", inAnHour()), "signed"},
		"of an unknown key":         {sign(jwt.SigningMethodRS256, rsaKey, "other", inAnHour()), "signed"},
		"HS384":                     {sign(jwt.SigningMethodHS384, []byte(secret), "", inAnHour()), "signed"},
		"PS256":                     {sign(jwt.SigningMethodPS256, rsaKey, "rsa", inAnHour()), "signed"},
		"RS512":                     {sign(jwt.SigningMethodRS512, rsaKey, "rsa", inAnHour()), "signed"},
		"a key of another type":     {sign(jwt.SigningMethodRS256, rsaKey, "ec", inAnHour()), "signed"},
		"none":                      {sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "", inAnHour()), "signed"},
		"none, signed all the same": {header(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2], "signed"},
		"nOnE":                      {header(`{"alg":"nOnE"}`) + "." + parts[1] + ".", ""},
		"without a signature":       {parts[0] + "." + parts[1] + ".", "signed"},
		"without alg":               {header(`{}`) + "." + parts[1] + "." + parts[2], ""},
		"a public key as secret":    {sign(jwt.SigningMethodHS256, publicPEM(rsaKey), "rsa", inAnHour()), "signed"},
		"a modulus as secret":       {sign(jwt.SigningMethodHS256, rsaKey.N.Bytes(), "rsa", inAnHour()), "signed"},
		"a point as secret":         {sign(jwt.SigningMethodHS256, must(ecKey.PublicKey.Bytes()), "ec", inAnHour()), "signed"},
		"an Ed25519 key as secret":  {sign(jwt.SigningMethodHS256, []byte(edKey[32:]), "ed", inAnHour()), "signed"},
		"with a critical header":    {must(critical.SignedString([]byte(secret))), "crit"},
		"changed claims":            {parts[0] + "." + header(`{"exp":99999999999,"sluice":{"subscribe":["channel:*"]}}`) + "." + parts[2], "signed"},
		"spelt in another way":      {valid[:len(valid)-1] + string(valid[len(valid)-1]+1), "JWT"},
		"with padding":              {valid + "=", "JWT"},
		"nothing":                   {"", "JWT"},
		"not a token":               {"hunter2", "JWT"},
		"five parts":                {valid + ".a.b", "JWT"},
		"topics as a text":          {symmetric(inAnHour(with("sluice", map[string]any{"subscribe": "channel:a"}))), "wrong type"},
		"a topic without a kind":    {symmetric(inAnHour(with("sluice", map[string]any{"publish": []string{"updates"}}))), `"updates" does not begin with`},
	} {
		_, err := grantOf(a, bearer(tt.token))
		if !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("%s: the error is %v", name, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: the error %q does not have %q", name, err, tt.why)
		}
		if tt.token != "" && strings.Contains(err.Error(), tt.token) {
			t.Errorf("%s: the error tells the token: %s", name, err)
		}
	}
}

func TestToken_HolderIsTheOneThatWasSigned(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	claims := inAnHour()
	holder := func(token string) string {
		t.Helper()
		g, err := grantOf(a, bearer(token))
		if err != nil {
			t.Fatal(err)
		}
		return g.Holder
	}
	// Each ECDSA signature is another one.
	one, same := sign(jwt.SigningMethodES256, ecKey, "ec", claims), sign(jwt.SigningMethodES256, ecKey, "ec", claims)
	if one == same || holder(one) != holder(same) || holder(one) == "" {
		t.Errorf("one set of claims has the holders %q and %q", holder(one), holder(same))
	}
	if holder(one) == holder(symmetric(inAnHour(with("sub", "another")))) {
		t.Error("two tokens have one holder")
	}
	if strings.Contains(one, holder(one)) {
		t.Error("the holder is a part of the token")
	}
}
