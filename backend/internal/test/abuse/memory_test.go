package abuse_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/test/gatewaytest"
)

// The embedded broker holds its keys until it ends, so a publisher that exceeds a limit of key
// globs would make them fail for all clients until a restart.
func TestAbuse_PublishersCannotBreakKeyGlobs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		data string
	}{
		{"many keys", nil, ""},
		{"large values", []string{"--key-bytes=4MiB"}, strings.Repeat("\n", 10<<10)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--allow-publish=key:user.*,key:price:*", "--allow-subscribe=key:*"}, tt.args...)
			g := newGateway(t, nil, gatewaytest.Start(t, args...), nil)
			set := func(name, data string) answer {
				t.Helper()
				return g.do(http.MethodPost, "/events?key="+name, strings.NewReader(data))
			}
			if a := set("price:BTC", "1"); a.status != http.StatusOK {
				t.Fatalf("the first key: got status %d, body %s", a.status, a.body)
			}
			g.client.Transport = nil // one connection for all requests
			t.Cleanup(g.client.CloseIdleConnections)
			n, last := 0, answer{status: http.StatusOK}
			for ; last.status == http.StatusOK && n < 20_000; n++ {
				last = set(fmt.Sprint("user.", n), tt.data)
			}
			if last.status != http.StatusServiceUnavailable || last.header.Get("Retry-After") == "" || !strings.Contains(last.body, "--redis-url") {
				t.Errorf("key %d: got status %d, body %s", n, last.status, last.body)
			}
			if a := set("price:BTC", "2"); a.status != http.StatusOK {
				t.Errorf("a key that exists: got status %d, body %s", a.status, a.body)
			}
			for _, glob := range []string{"*", "price:*", "user.*"} {
				ctx, cancel := context.WithCancel(t.Context())
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL()+"/events?key="+glob, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := g.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != http.StatusOK {
					t.Errorf("the glob %s gives %s", glob, resp.Status)
				}
				cancel()
				resp.Body.Close()
			}
		})
	}
}
