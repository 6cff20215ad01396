package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Cookie is the cookie that a token may come in.
const Cookie = "sluice_token"

// Options are the settings of an [Authority].
type Options struct {
	Anyone  Grant    // what a request without a token may do
	Secret  string   // that verifies HS256; empty for none
	Keys    *KeySet  // that verify RS256, ES256 and EdDSA; nil for none
	Origins []string // whose pages may act with the cookies of their visitors; * is none of them
}

// Authority tells what requests may do. Its methods may be called from any goroutine.
type Authority struct {
	anyone   Grant
	verifier *verifier // nil if no token can be verified
	origins  http.CrossOriginProtection
}

// New returns an authority.
func New(o Options) (*Authority, error) {
	a := &Authority{anyone: o.Anyone}
	a.anyone.advice = "this server takes no tokens: have it started with --jwt-secret, --jwks-file or --jwks-url"
	if o.Secret != "" || o.Keys != nil {
		a.verifier = newVerifier(o.Secret, o.Keys)
		a.anyone.advice = "send one as Authorization: Bearer, as the cookie " + Cookie + " or as access_token in the query"
	}
	for _, origin := range o.Origins {
		if origin == "*" {
			continue
		}
		if err := a.origins.AddTrustedOrigin(strings.ToLower(origin)); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Grant returns what a request may do: what anyone may, and what its token allows.
//
// A token in the header comes before one in the query (RFC 6750, sections 2.1 and 2.3),
// and both come before the cookie: they were sent on purpose, and so the error wraps
// [ErrInvalidToken] where they are no good, and [ErrNoKeys] where the keys cannot be had.
// A cookie that is no good, or cannot be verified, counts as none, so that a stale one
// does not close what is open to anyone.
func (a *Authority) Grant(r *http.Request, query url.Values) (Grant, error) {
	if token, ok := sentToken(r, query); ok {
		return a.grantOf(r.Context(), token)
	}
	cookie, err := r.Cookie(Cookie)
	if err != nil || a.verifier == nil {
		return a.anyone, nil
	}
	if a.fromElsewhere(r) {
		return a.without("the cookie " + Cookie + " counts from this server's own pages and those of --cors-origins only"), nil
	}
	grant, err := a.grantOf(r.Context(), cookie.Value)
	if err != nil {
		grant = a.without("the cookie " + Cookie + " does not count: " + err.Error())
	}
	if errors.Is(err, ErrNoKeys) {
		grant.unverified = err
	}
	return grant, nil
}

// sentToken returns the token that a client has put into its request itself.
func sentToken(r *http.Request, query url.Values) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	return query.Get("access_token"), query.Has("access_token")
}

// fromElsewhere reports whether another site's page may have made the request. Browsers
// send cookies with those too, and the page could then read, or publish, as its visitor.
func (a *Authority) fromElsewhere(r *http.Request) bool {
	// Reading an event stream is no safe method in this sense: the answer is what counts.
	asked := *r
	asked.Method = http.MethodPost
	return a.origins.Check(&asked) != nil
}

func (a *Authority) grantOf(ctx context.Context, token string) (Grant, error) {
	if a.verifier == nil {
		return Grant{}, fmt.Errorf("%w: %s; or leave the token out", ErrInvalidToken, a.anyone.advice)
	}
	grant, err := a.verifier.verify(ctx, token)
	if err != nil {
		return Grant{}, err
	}
	grant.Subscribe = slices.Concat(a.anyone.Subscribe, grant.Subscribe)
	grant.Publish = slices.Concat(a.anyone.Publish, grant.Publish)
	return grant, nil
}

// without returns what anyone may do, for a request whose token does not count.
func (a *Authority) without(why string) Grant {
	grant := a.anyone
	grant.advice = why
	return grant
}
