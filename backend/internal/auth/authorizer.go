package auth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Cookie is the name of the cookie that may carry a token.
const Cookie = "sluice_token"

// Options are the settings of an [Authorizer].
type Options struct {
	Anyone  Grant    // permissions of a request without a token
	Secret  string   // verifies HS256; empty if HS256 is not supported
	Keys    *KeySet  // verifies RS256, ES256 and EdDSA; nil if they are not supported
	Origins []string // origins whose pages may use the cookie; * is ignored
}

// Authorizer determines the permissions of requests. Its methods may be called from any
// goroutine.
type Authorizer struct {
	anyone  Grant
	secret  []byte
	keys    *KeySet
	parser  *jwt.Parser // nil if no token can be verified
	origins http.CrossOriginProtection
}

// New returns an Authorizer. It returns an error if an origin is not valid.
func New(o Options) (*Authorizer, error) {
	a := &Authorizer{anyone: o.Anyone, secret: []byte(o.Secret), keys: o.Keys}
	a.anyone.advice = "this server accepts no tokens: start it with --jwt-secret, --jwks-file or --jwks-url"
	var algorithms []string
	if o.Secret != "" {
		algorithms = append(algorithms, hs256)
	}
	if o.Keys != nil {
		algorithms = append(algorithms, rs256, es256, edDSA)
	}
	if len(algorithms) > 0 {
		// Strict decoding rejects other base64url encodings of the same token.
		a.parser = jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
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

// Grant returns the permissions of a request: those of anyone, and those of its token.
//
// A token in the header takes precedence over one in the query (RFC 6750, sections 2.1 and 2.3),
// and both take precedence over the cookie. The client sent them deliberately, so the error wraps
// [ErrInvalidToken] if such a token is not valid, and [ErrNoKeys] if it cannot be verified. A
// cookie that is not valid, or cannot be verified, is ignored: an old cookie must not block topics
// that are allowed to anyone.
func (a *Authorizer) Grant(r *http.Request, query url.Values) (Grant, error) {
	if token, ok := sentToken(r, query); ok {
		return a.verify(r.Context(), token)
	}
	cookie, err := r.Cookie(Cookie)
	if err != nil || a.parser == nil {
		return a.anyone, nil
	}
	if a.isCrossOrigin(r) {
		return a.without("the cookie " + Cookie + " is accepted only from pages of this server and of --cors-origins"), nil
	}
	grant, err := a.verify(r.Context(), cookie.Value)
	if err != nil {
		grant = a.without("the cookie " + Cookie + " is ignored: " + err.Error())
	}
	if errors.Is(err, ErrNoKeys) {
		grant.unverified = err
	}
	return grant, nil
}

// sentToken returns the token in the header or the query of a request.
func sentToken(r *http.Request, query url.Values) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), true
	}
	return query.Get("access_token"), query.Has("access_token")
}

// isCrossOrigin reports whether a page of an origin that is not trusted may have made the
// request. Browsers send cookies with such requests, so the page could read or publish with the
// permissions of its visitor.
func (a *Authorizer) isCrossOrigin(r *http.Request) bool {
	// Check allows every GET, but here the response of a GET must be protected too.
	checked := *r
	checked.Method = http.MethodPost
	return a.origins.Check(&checked) != nil
}

// without returns the permissions of anyone, for a request whose token is ignored.
func (a *Authorizer) without(reason string) Grant {
	grant := a.anyone
	grant.advice = reason
	return grant
}
