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

// Who a request is taken for.
const (
	nobody = "nobody"
	holder = "the holder of the token"
	none   = "refused"
)

func takenFor(a *auth.Authorizer, r *http.Request) string {
	g, err := grantOf(a, r)
	switch {
	case err != nil:
		return none
	case g.MaySubscribe(topic("channel:user.42")) == nil:
		return holder
	}
	return nobody
}

func TestGrant_ReadsTheTokenFrom(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	good := symmetric(inAnHour())
	bad := symmetric(inAnHour(with("exp", time.Now().Add(-time.Hour).Unix())))
	cookie := func(token string) []string { return []string{"Cookie", "other=1; sluice_token=" + token} }
	header := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	for _, tt := range []struct {
		name, target string
		header       []string
		want         string
	}{
		{"nowhere", "/events", nil, nobody},
		{"the header", "/events", header(good), holder},
		{"a header with a lower case scheme", "/events", []string{"Authorization", "bearer " + good}, holder},
		{"the cookie", "/events", cookie(good), holder},
		{"the query", "/events?access_token=" + good, nil, holder},
		{"a bad header", "/events", header(bad), none},
		{"a bad query", "/events?access_token=" + bad, nil, none},
		{"an empty query", "/events?access_token=", nil, none},
		{"an empty header", "/events", header(""), none},
		{"a bad cookie", "/events", cookie(bad), nobody},
		{"an empty cookie", "/events", cookie(""), nobody},
		{"a header with another scheme", "/events", []string{"Authorization", "Basic dTpw"}, nobody},
		{"the query beside another scheme", "/events?access_token=" + good, []string{"Authorization", "Basic dTpw"}, holder},
		{"the header before the query", "/events?access_token=" + bad, header(good), holder},
		{"a bad header before the query", "/events?access_token=" + good, header(bad), none},
		{"a bad query before the cookie", "/events?access_token=" + bad, cookie(good), none},
		{"the query before a bad cookie", "/events?access_token=" + good, cookie(bad), holder},
		{"a bad header before the cookie", "/events", append(header(bad), cookie(good)...), none},
	} {
		if got := takenFor(a, request(tt.target, tt.header...)); got != tt.want {
			t.Errorf("%s: it is taken for %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Nobody can know what the token allows, but what is open to anyone needs none.
func TestGrant_CookieThatCannotBeVerifiedClosesNothingThatIsOpen(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	a := must(auth.New(auth.Options{
		Anyone: auth.Grant{Subscribe: []event.Topic{topic("channel:updates")}, Publish: []event.Topic{topic("channel:updates")}},
		Keys:   auth.OpenKeyURL(away.URL, quiet),
	}))
	token := sign(jwt.SigningMethodES256, ecKey, "ec", inAnHour())
	if _, err := grantOf(a, bearer(token)); !errors.Is(err, auth.ErrNoKeys) {
		t.Errorf("a token that was sent on purpose gives %v", err)
	}
	g, err := grantOf(a, request("/", "Cookie", "sluice_token="+token))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{g.MaySubscribe(topic("channel:updates")), g.MayPublish(topic("channel:updates"))} {
		if err != nil {
			t.Errorf("an open topic: %v", err)
		}
	}
	for _, err := range []error{g.MaySubscribe(topic("channel:user.42")), g.MayPublish(topic("channel:user.42"))} {
		if !errors.Is(err, auth.ErrNoKeys) {
			t.Errorf("a topic that the token may allow: %v", err)
		}
	}
}

func TestGrant_CookieCountsOnlyFromAllowedPages(t *testing.T) {
	t.Parallel()
	const app, evil, own = "https://app.example.com", "https://evil.example.com", "http://example.com"
	good := symmetric(inAnHour())
	for _, tt := range []struct {
		name         string
		origin, site string
		named, any   string // with app in --cors-origins, and with *
	}{
		{"no browser, or a page of the server in one over plain HTTP", "", "", holder, holder},
		{"a page of the server", "", "same-origin", holder, holder},
		{"a page of the server that publishes", own, "same-origin", holder, holder},
		{"a page of the server, from an old browser", own, "", holder, holder},
		{"an allowed page", app, "cross-site", holder, nobody},
		{"an allowed page of the same site", app, "same-site", holder, nobody},
		{"an allowed page, from an old browser", app, "", holder, nobody},
		{"another page", evil, "cross-site", nobody, nobody},
		{"another page of the same site", "https://blog.example.com", "same-site", nobody, nobody},
		{"another page, from an old browser", evil, "", nobody, nobody},
		{"an image in another page", "", "cross-site", nobody, nobody},
		{"a page without an origin", "null", "cross-site", nobody, nobody},
		{"the server's name in plain text", "http://example.com.evil.org", "", nobody, nobody},
		{"an allowed name with a port", app + ":8443", "", nobody, nobody},
	} {
		header := []string{"Cookie", "sluice_token=" + good}
		if tt.origin != "" {
			header = append(header, "Origin", tt.origin)
		}
		if tt.site != "" {
			header = append(header, "Sec-Fetch-Site", tt.site)
		}
		for origins, want := range map[string]string{"https://App.example.com": tt.named, "*": tt.any} {
			a := newAuthority(t, origins)
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				r := request("http://example.com/events", header...)
				r.Method = method
				if got := takenFor(a, r); got != want {
					t.Errorf("%s, %s with the origins %s: it is taken for %s, want %s", tt.name, method, origins, got, want)
				}
				if r.Method != method {
					t.Errorf("the request has become a %s", r.Method)
				}
			}
			// Whoever sends a token on purpose may come from anywhere.
			r := request("http://example.com/events", append(header, "Authorization", "Bearer "+good)...)
			if got := takenFor(a, r); got != holder {
				t.Errorf("%s: with a header it is taken for %s", tt.name, got)
			}
		}
	}
}

func TestGrant_SaysWhatToChange(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	refusal := func(a *auth.Authorizer, r *http.Request) error {
		g, err := grantOf(a, r)
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
		{"no token, and none is taken", refusal(withoutTokens, request("/")), auth.ErrTokenNeeded, "--jwt-secret"},
		{"a token, and none is taken", refusal(withoutTokens, bearer(symmetric(inAnHour()))), auth.ErrInvalidToken, "leave the token out"},
		{"a cookie, and none is taken", refusal(withoutTokens, request("/", "Cookie", "sluice_token=x", "Origin", "https://x.com")), auth.ErrTokenNeeded, "--jwt-secret"},
		{"an expired cookie", refusal(a, request("/", "Cookie", "sluice_token="+expired)), auth.ErrTokenNeeded, "expired"},
		{"a cookie from elsewhere", refusal(a, request("/", "Cookie", "sluice_token="+symmetric(inAnHour()), "Origin", "https://x.com")), auth.ErrTokenNeeded, "--cors-origins"},
		{"a token that lacks the topic", refusal(a, bearer(symmetric(inAnHour()))), auth.ErrNotAllowed, "sluice.subscribe"},
	} {
		switch {
		case !errors.Is(tt.err, tt.is):
			t.Errorf("%s: the error is %v", tt.name, tt.err)
		case !strings.Contains(tt.err.Error(), tt.has):
			t.Errorf("%s: the error %q does not have %q", tt.name, tt.err, tt.has)
		}
		for _, other := range []string{"user.42", "orders", "updates", "hidden"} {
			if strings.Contains(tt.err.Error(), other) {
				t.Errorf("%s: the error tells of another topic: %s", tt.name, tt.err)
			}
		}
	}
}
