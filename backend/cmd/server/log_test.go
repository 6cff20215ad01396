package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/internal/test/redistest"
)

// awaitLog waits until a line of the log matches pattern.
func (g *gateway) awaitLog(pattern string) {
	g.t.Helper()
	line := regexp.MustCompile("(?m)" + pattern + "$")
	eventually(g.t, "the log has "+pattern, func() bool { return line.MatchString(g.log.String()) })
}

func TestLog_NamesCloseReason(t *testing.T) {
	t.Parallel()
	forwarded := []string{"X-Forwarded-For", "203.0.113.7"}
	const query = "?channel=a&channel=b"
	overEachTransport(t, func(t *testing.T, g *gateway, _ int) {
		checkEnd := func(id int, reason string) {
			t.Helper()
			g.awaitLog(fmt.Sprintf(`level=INFO msg=subscribed id=%d client=203\.0\.113\.7 topics=2 total=1`, id))
			g.awaitLog(fmt.Sprintf(`level=INFO msg=unsubscribed id=%d client=203\.0\.113\.7 duration=\d\S* reason=%s total=0`, id, reason))
		}
		g.subscribe(query, forwarded...).disconnect()
		g.publish("a", "to notice that the client is gone")
		checkEnd(1, "client-gone")

		g.request(g.client, query, forwarded...)
		for range 160 {
			g.publish("a", strings.Repeat("x", 100<<10))
		}
		checkEnd(2, "write-timeout")

		bearer := "Bearer " + token(t, newClaims(2*time.Second, "channel:*"))
		g.subscribe(query, append(forwarded, "Authorization", bearer)...).end()
		checkEnd(3, "token-expired")

		g.subscribe(query, forwarded...)
		g.stop()
		checkEnd(4, "draining")
	}, "--trusted-proxies=127.0.0.1,::1", "--jwt-secret="+jwtSecret, "--write-timeout=300ms", "--history-bytes=64MiB")
}

func TestLog_DebugOmitsTokens(t *testing.T) {
	t.Parallel()
	g := start(t, "--jwt-secret="+jwtSecret, "--allow-publish=channel:a,stream:s")
	secret := token(t, newClaims(time.Hour, "channel:a"))
	post := func(query, body string, header ...string) {
		g.do(http.MethodPost, "/events"+query, strings.NewReader(body), header...)
	}
	post("?channel=a&access_token="+secret, "12345")
	g.awaitLog(`level=DEBUG msg=published client=127\.0\.0\.1 topic=channel:a bytes=5 status=200`)
	post("?stream=s", "123")
	g.awaitLog(`level=DEBUG msg=published client=127\.0\.0\.1 topic=stream:s bytes=3 status=200 id=\d+-\d+`)
	post("?channel=a", "1\n2\n", "Content-Type", "application/x-ndjson")
	g.awaitLog(`level=DEBUG msg=published client=127\.0\.0\.1 topic=channel:a bytes=4 status=200 published=2`)

	refused := func(method, path string, status int, detail string, header ...string) {
		t.Helper()
		g.do(method, path, nil, header...)
		target, _, _ := strings.Cut(path, "?")
		g.awaitLog(fmt.Sprintf(`level=DEBUG msg="request refused" client=127\.0\.0\.1 method=%s path=%s status=%d detail=.*%s.*`, method, target, status, detail))
	}
	refused(http.MethodPost, "/events?channel=b&access_token="+secret, http.StatusForbidden, "the token does not allow")
	refused(http.MethodGet, "/events?channel=", http.StatusBadRequest, "channel", "Cookie", "sluice_token="+secret)
	refused(http.MethodGet, "/events?channel=a&access_token=broken."+secret, http.StatusUnauthorized, "invalid token")
	refused(http.MethodDelete, "/events?access_token="+secret, http.StatusMethodNotAllowed, "DELETE")
	refused(http.MethodGet, "/nothing?access_token="+secret, http.StatusNotFound, "nothing is here", "Authorization", "Bearer "+secret)
	for part := range strings.SplitSeq(secret, ".") {
		if strings.Contains(g.log.String(), part) {
			t.Errorf("the log has a part of a token: %s", part)
		}
	}
}

func TestLog_HasHTTPServerErrors(t *testing.T) {
	t.Parallel()
	certificate, key := redistest.NewAuthority(t).Pair()
	g := start(t, "--tls-cert="+certificate, "--tls-key="+key)
	resp, err := new(http.Client).Get(g.url) // plain HTTP to a TLS port
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	g.awaitLog(`level=INFO msg="http server" error=".*TLS handshake error.*"`)
}
