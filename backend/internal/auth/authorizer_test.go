package auth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/internal/auth"
	"sluice/internal/event"
)

// Results of identify.
const (
	anonymous = "an anonymous client"
	holder    = "the holder of the token"
	rejected  = "rejected"
)

func identify(a *auth.Authorizer, r *http.Request) string {
	g, err := grant(a, r)
	switch {
	case err != nil:
		return rejected
	case g.MaySubscribe(topic("channel:user.42")) == nil:
		return holder
	}
	return anonymous
}

func TestGrant_ReadsTheTokenFrom(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	good := symmetric(inAnHour())
	bad := symmetric(inAnHour(with("exp", time.Now().Add(-time.Hour).Unix())))
	cookie := func(token string) []string { return []string{"Cookie", "other=1; sluice_token=" + token} }
	header := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	for _, tt := range []struct {
		name, target string
		header       []string
		want         string
	}{
		{"nowhere", "/events", nil, anonymous},
		{"the header", "/events", header(good), holder},
		{"a header with a lower case scheme", "/events", []string{"Authorization", "bearer " + good}, holder},
		{"the cookie", "/events", cookie(good), holder},
		{"the query", "/events?access_token=" + good, nil, holder},
		{"a bad header", "/events", header(bad), rejected},
		{"a bad query", "/events?access_token=" + bad, nil, rejected},
		{"an empty query", "/events?access_token=", nil, rejected},
		{"an empty header", "/events", header(""), rejected},
		{"a bad cookie", "/events", cookie(bad), anonymous},
		{"an empty cookie", "/events", cookie(""), anonymous},
		{"a header with another scheme", "/events", []string{"Authorization", "Basic dTpw"}, anonymous},
		{"the query beside another scheme", "/events?access_token=" + good, []string{"Authorization", "Basic dTpw"}, holder},
		{"the header before the query", "/events?access_token=" + bad, header(good), holder},
		{"a bad header before the query", "/events?access_token=" + good, header(bad), rejected},
		{"a bad query before the cookie", "/events?access_token=" + bad, cookie(good), rejected},
		{"the query before a bad cookie", "/events?access_token=" + good, cookie(bad), holder},
		{"a bad header before the cookie", "/events", append(header(bad), cookie(good)...), rejected},
	} {
		if got := identify(a, request(tt.target, tt.header...)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// The rights of such a token are unknown, but open topics require no token.
func TestGrant_UnverifiableCookieKeepsOpenTopics(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	a := must(auth.New(auth.Options{
		Anyone: auth.Grant{Subscribe: []event.Topic{topic("channel:updates")}, Publish: []event.Topic{topic("channel:updates")}},
		Keys:   auth.OpenKeyURL(away.URL, quiet),
	}))
	token := sign(jwt.SigningMethodES256, ecKey, "ec", inAnHour())
	if _, err := grant(a, bearer(token)); !errors.Is(err, auth.ErrNoKeys) {
		t.Errorf("token in a header: got error %v", err)
	}
	g, err := grant(a, request("/", "Cookie", "sluice_token="+token))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{g.MaySubscribe(topic("channel:updates")), g.MayPublish(topic("channel:updates"))} {
		if err != nil {
			t.Errorf("open topic: got error %v", err)
		}
	}
	for _, err := range []error{g.MaySubscribe(topic("channel:user.42")), g.MayPublish(topic("channel:user.42"))} {
		if !errors.Is(err, auth.ErrNoKeys) {
			t.Errorf("topic that the token may allow: got error %v", err)
		}
	}
}

func TestGrant_CookieFromAllowedPagesOnly(t *testing.T) {
	t.Parallel()
	const app, evil, own = "https://app.example.com", "https://evil.example.com", "http://example.com"
	good := symmetric(inAnHour())
	for _, tt := range []struct {
		name         string
		origin, site string
		named, any   string // with app in --cors-origins, and with *
	}{
		{"no browser, or a page of the server over plain HTTP", "", "", holder, holder},
		{"a page of the server", "", "same-origin", holder, holder},
		{"a page of the server that publishes", own, "same-origin", holder, holder},
		{"a page of the server, from an old browser", own, "", holder, holder},
		{"an allowed page", app, "cross-site", holder, anonymous},
		{"an allowed page of the same site", app, "same-site", holder, anonymous},
		{"an allowed page, from an old browser", app, "", holder, anonymous},
		{"another page", evil, "cross-site", anonymous, anonymous},
		{"another page of the same site", "https://blog.example.com", "same-site", anonymous, anonymous},
		{"another page, from an old browser", evil, "", anonymous, anonymous},
		{"an image in another page", "", "cross-site", anonymous, anonymous},
		{"a page without an origin", "null", "cross-site", anonymous, anonymous},
		{"the server's name in plain text", "http://example.com.evil.org", "", anonymous, anonymous},
		{"an allowed name with a port", app + ":8443", "", anonymous, anonymous},
	} {
		header := []string{"Cookie", "sluice_token=" + good}
		if tt.origin != "" {
			header = append(header, "Origin", tt.origin)
		}
		if tt.site != "" {
			header = append(header, "Sec-Fetch-Site", tt.site)
		}
		for origins, want := range map[string]string{"https://App.example.com": tt.named, "*": tt.any} {
			a := newAuthorizer(t, origins)
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				r := request("http://example.com/events", header...)
				r.Method = method
				if got := identify(a, r); got != want {
					t.Errorf("%s, %s, origins %s: got %s, want %s", tt.name, method, origins, got, want)
				}
				if r.Method != method {
					t.Errorf("the method changed to %s", r.Method)
				}
			}
			// A token in a header or query is accepted from any page.
			r := request("http://example.com/events", append(header, "Authorization", "Bearer "+good)...)
			if got := identify(a, r); got != holder {
				t.Errorf("%s: with a header: got %s", tt.name, got)
			}
		}
	}
}

func TestGrant_ErrorsNameFix(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(t)
	refusal := func(a *auth.Authorizer, r *http.Request) error {
		g, err := grant(a, r)
		if err == nil {
			err = g.MaySubscribe(topic("channel:x"))
		}
		return err
	}
	withoutTokens, err := auth.New(auth.Options{Anyone: auth.Grant{Subscribe: []event.Topic{topic("channel:hidden")}}})
	if err != nil {
		t.Fatal(err)
	}
	expired := symmetric(inAnHour(with("exp", 1)))
	for _, tt := range []struct {
		name string
		err  error
		is   error
		has  string
	}{
		{"no token", refusal(a, request("/")), auth.ErrTokenNeeded, "Authorization: Bearer"},
		{"no token, and tokens are disabled", refusal(withoutTokens, request("/")), auth.ErrTokenNeeded, "--jwt-secret"},
		{"a token, and tokens are disabled", refusal(withoutTokens, bearer(symmetric(inAnHour()))), auth.ErrInvalidToken, "leave the token out"},
		{"a cookie, and tokens are disabled", refusal(withoutTokens, request("/", "Cookie", "sluice_token=x", "Origin", "https://x.com")), auth.ErrTokenNeeded, "--jwt-secret"},
		{"an expired cookie", refusal(a, request("/", "Cookie", "sluice_token="+expired)), auth.ErrTokenNeeded, "expired"},
		{"a cookie from elsewhere", refusal(a, request("/", "Cookie", "sluice_token="+symmetric(inAnHour()), "Origin", "https://x.com")), auth.ErrTokenNeeded, "--cors-origins"},
		{"a token that lacks the topic", refusal(a, bearer(symmetric(inAnHour()))), auth.ErrNotAllowed, "sluice.subscribe"},
	} {
		switch {
		case !errors.Is(tt.err, tt.is):
			t.Errorf("%s: got error %v", tt.name, tt.err)
		case !strings.Contains(tt.err.Error(), tt.has):
			t.Errorf("%s: got error %q, want it to contain %q", tt.name, tt.err, tt.has)
		}
		for _, other := range []string{"user.42", "orders", "updates", "hidden"} {
			if strings.Contains(tt.err.Error(), other) {
				t.Errorf("%s: the error names another topic: %s", tt.name, tt.err)
			}
		}
	}
}
