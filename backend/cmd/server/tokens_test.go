package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/internal/test/redistest"
)

const jwtSecret = "a secret of the tests, and long enough"

// claims are the claims of a test token.
type claims struct {
	jwt.RegisteredClaims
	Sluice struct {
		Subscribe []string `json:"subscribe,omitempty"`
		Publish   []string `json:"publish,omitempty"`
	} `json:"sluice"`
}

// newClaims returns claims that allow a client to subscribe and publish to the topics.
func newClaims(life time.Duration, topics ...string) claims {
	var c claims
	c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(life))
	c.Sluice.Subscribe, c.Sluice.Publish = topics, topics
	return c
}

// token returns a token for the gateways of [startWithTokens].
func token(t *testing.T, c claims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(jwtSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// startWithTokens starts a gateway that accepts tokens and opens channel:updates to all clients.
func startWithTokens(t *testing.T, args ...string) *gateway {
	t.Helper()
	return start(t, append([]string{"--allow-subscribe=channel:updates", "--allow-publish=", "--jwt-secret=" + jwtSecret}, args...)...)
}

func TestTokens_StatusCodes(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	for name, g := range map[string]*gateway{
		"embedded": startWithTokens(t),
		"redis":    startWithTokens(t, "--redis-url="+redis.URL()),
	} {
		t.Run(name, func(t *testing.T) {
			good := token(t, newClaims(time.Hour, "channel:user.*", "stream:orders:*"))
			expired := token(t, newClaims(-time.Hour, "channel:user.*"))
			bearer := func(text string) []string { return []string{"Authorization", "Bearer " + text} }
			for _, tt := range []struct {
				name, query string
				header      []string
				status      int
			}{
				{"open", "channel=updates", nil, 200},
				{"closed", "channel=user.1", nil, 401},
				{"with a token", "channel=user.1", bearer(good), 200},
				{"with a token in the query", "channel=user.1&access_token=" + good, nil, 200},
				{"with a token in the cookie", "channel=user.1", []string{"Cookie", "sluice_token=" + good}, 200},
				{"several, with a token", "channel=user.*&stream=orders:1&channel=updates", bearer(good), 200},
				{"default topics, with a token", "", bearer(good), 200},
				{"not of the token", "channel=other", bearer(good), 403},
				{"a glob that is wider", "channel=*", bearer(good), 403},
				{"one of several is not of the token", "channel=user.1&key=a", bearer(good), 403},
				{"an expired token", "channel=user.1", bearer(expired), 401},
				{"an expired token for what is open", "channel=updates", bearer(expired), 401},
				{"an expired token in the query", "channel=updates&access_token=" + expired, nil, 401},
				{"an expired cookie for what is open", "channel=updates", []string{"Cookie", "sluice_token=" + expired}, 200},
				{"an expired cookie", "channel=user.1", []string{"Cookie", "sluice_token=" + expired}, 401},
				{"a cookie from elsewhere", "channel=user.1", []string{"Cookie", "sluice_token=" + good, "Origin", "https://evil.example.com"}, 401},
			} {
				if tt.status == 200 {
					g.subscribe("?"+tt.query, tt.header...).disconnect()
				} else {
					a := g.get("/events?"+tt.query, append(tt.header, "Accept", "text/event-stream")...)
					checkProblem(t, tt.name, a, tt.status)
					challenge := a.header.Get("WWW-Authenticate")
					if (tt.status == 401) != strings.HasPrefix(challenge, "Bearer") {
						t.Errorf("%s: WWW-Authenticate is %q", tt.name, challenge)
					}
				}
				if strings.Contains(tt.query, "&") || tt.query == "" {
					continue // publishing does not use this case
				}
				status := tt.status
				if tt.query == "channel=updates" && status == 200 {
					status = 401 // open for reading only
				}
				if tt.query == "channel=*" {
					status = 400
				}
				if a := g.do(http.MethodPost, "/events?"+tt.query, strings.NewReader("x"), tt.header...); a.status != status {
					t.Errorf("%s: publishing: got status %d, want %d, body %s", tt.name, a.status, status, a.body)
				}
			}
		})
	}
}

func TestTokens_ConnectionEndsAtExpiry(t *testing.T) {
	t.Parallel()
	g := startWithTokens(t, "--allow-publish=channel:*")
	h2c := newH2C(t)
	text := token(t, newClaims(10*time.Second, "channel:a"))
	long := token(t, newClaims(time.Hour, "channel:a"))
	ends := map[string]*stream{
		"hijacked":        g.subscribe("?channel=a", "Authorization", "Bearer "+text),
		"HTTP/2":          g.subscribeWith(h2c, "?channel=a", "Authorization", "Bearer "+text),
		"conflated":       g.subscribe("?channel=a&every=10ms", "Authorization", "Bearer "+text),
		"open to anyone":  g.subscribe("?channel=updates", "Authorization", "Bearer "+text),
		"of the cookie":   g.subscribe("?channel=a", "Cookie", "sluice_token="+text),
		"several, parked": g.subscribe("?channel=a&channel=updates&access_token=" + text),
	}
	stays := []*stream{g.subscribe("?channel=a&access_token=" + long), g.subscribe("")}
	g.publish("a", "before")
	for name, s := range ends {
		frames := s.end()
		last := frames[len(frames)-1]
		if last.name != "stream.close" || last.data != `{"reason":"token-expired"}` || last.retry == "" || last.hasID {
			t.Errorf("%s: the stream ends with %+v", name, last)
		}
		if name != "open to anyone" && (len(frames) < 2 || frames[0].data != "before") {
			t.Errorf("%s: got %+v before the end", name, frames)
		}
	}
	stays[0].data(1)
	g.publish("a", "after")
	g.publish("updates", "after")
	for _, s := range stays {
		if f := s.next(); f.data != "after" {
			t.Errorf("another connection: got %+v", f)
		}
	}
	eventually(t, "two connections left", func() bool { return g.stat("connections") == 2 })
	checkProblem(t, "coming back", g.get("/events?channel=a", "Authorization", "Bearer "+text), http.StatusUnauthorized)
}

func TestTokens_CursorGrantsNoTopics(t *testing.T) {
	t.Parallel()
	g := startWithTokens(t, "--redis-url="+redistest.Start(t).URL())
	all := token(t, newClaims(time.Hour, "channel:*", "stream:*", "key:*"))
	few := token(t, newClaims(time.Hour, "channel:mine"))
	for _, query := range []string{"stream=secret", "channel=secret", "key=secret.key"} {
		a := g.do(http.MethodPost, "/events?"+query, strings.NewReader("nobody's business"), "Authorization", "Bearer "+all)
		if a.status != http.StatusOK {
			t.Fatalf("publishing: got status %d, body %s", a.status, a.body)
		}
	}
	everything := g.subscribe("?stream=secret&channel=secret&key=secret.key&channel=mine&last=10&access_token=" + all)
	cursors := []string{"stream:secret@0-0", "0-0", "channel:secret@0", everything.first.id, everything.next().id}
	for _, cursor := range cursors {
		s := g.subscribe("?channel=mine&last=100&lastEventId="+cursor+"&access_token="+few, "Last-Event-ID", cursor)
		g.do(http.MethodPost, "/events?channel=mine", strings.NewReader("mine"), "Authorization", "Bearer "+few)
		for {
			f := s.next()
			if strings.Contains(f.data+f.id, "secret") || strings.Contains(f.data, "business") {
				t.Errorf("cursor %q: got %+v", cursor, f)
			}
			if f.data == "mine" {
				break
			}
		}
		s.disconnect()
		checkProblem(t, cursor, g.get("/events?stream=secret&access_token="+few, "Last-Event-ID", cursor), http.StatusForbidden)
	}
}

func TestTokens_AreNeverExposed(t *testing.T) {
	t.Parallel()
	g := startWithTokens(t, "--redis-url="+redistest.Start(t).URL(), "--cors-origins=https://app.example.com")
	good := token(t, newClaims(time.Hour, "channel:user.1"))
	secrets := []string{jwtSecret}
	told := func(what, text string) {
		t.Helper()
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s contains a secret: %.300s", what, text)
			}
		}
	}
	for _, text := range []string{good, token(t, newClaims(-time.Hour)), good[:len(good)-8] + "AAAAAAAA", "not-a-token-at-all"} {
		secrets = append(secrets, text)
		if parts := strings.Split(text, "."); len(parts) == 3 {
			secrets = append(secrets, parts[1], parts[2])
		}
		for _, header := range [][]string{{"Authorization", "Bearer " + text}, {"Cookie", "sluice_token=" + text}, {"Referer", "https://app.example.com/?access_token=" + text}, nil} {
			for _, path := range []string{
				"/events?channel=user.2", "/events?channel=%zz", "/events?channel=user.1;x", "/events?last=x", "/events?every=x",
				"/nothing", "/healthz", "/readyz", "/stats", "/assets/x",
			} {
				path += "&access_token=" + text
				if !strings.Contains(path, "?") {
					path = strings.Replace(path, "&", "?", 1)
				}
				for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
					a := g.do(method, path, strings.NewReader("x"), header...)
					told(method+" "+path, a.body)
					for name, values := range a.header {
						told(name, strings.Join(values, " "))
					}
				}
			}
		}
	}
	s := g.subscribe("?channel=user.1&access_token="+good, "Cookie", "sluice_token="+good)
	g.do(http.MethodPost, "/events?channel=user.1", strings.NewReader("x"), "Authorization", "Bearer "+good)
	f := s.next()
	told("the stream", s.first.id+s.first.data+f.id+f.data)
	s.disconnect()
	eventually(t, "no connections", func() bool { return g.stat("connections") == 0 })
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1"} {
		told(path, g.get(g.admin+path).body)
	}
	told("/stats", g.get("/stats").body)
	g.stop()
	told("the log", g.log.String())
}

func TestTokens_KeySetURLStartsLater(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": base64.RawURLEncoding.EncodeToString(public)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var up atomic.Bool
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(set)
	}))
	t.Cleanup(keys.Close)
	g := startWithTokens(t, "--jwks-url="+keys.URL)
	signed := jwt.NewWithClaims(jwt.SigningMethodEdDSA, newClaims(time.Hour, "channel:a"))
	signed.Header["kid"] = "1"
	text, err := signed.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	// Requests that need no key still work.
	g.subscribe("?channel=updates")
	g.subscribe("?channel=b&access_token=" + token(t, newClaims(time.Hour, "channel:b")))
	checkRejected(t, g, "?channel=a&access_token="+text, "unavailable")
	up.Store(true)
	eventually(t, "the token is taken", func() bool {
		return g.do(http.MethodPost, "/events?channel=a", strings.NewReader("x"), "Authorization", "Bearer "+text).status == http.StatusOK
	})
	s := g.subscribe("?channel=a&access_token=" + text)
	up.Store(false)
	g.subscribe("?channel=a&access_token=" + text)
	if !slices.Equal(s.opened.Topics, []string{"channel:a"}) {
		t.Errorf("the topics are %q", s.opened.Topics)
	}
}
