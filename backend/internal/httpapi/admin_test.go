package httpapi

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAdmin_ServesLocalNamesOnly(t *testing.T) {
	t.Parallel()
	admin := NewAdmin("metrics.internal.example:4001", prometheus.NewRegistry(), slog.New(slog.DiscardHandler)).Handler
	for host, want := range map[string]int{
		"localhost:4001": 200, "LOCALHOST": 200, "app.localhost:4001": 200, "127.0.0.1:4001": 200, "10.1.2.3": 200, "[::1]:4001": 200, "[::1]": 200,
		"gateway:4001": 200, "metrics.internal.example:4001": 200, "Metrics.Internal.Example": 200, "": 200,
		"evil.example:4001": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example:4001": 403, "xlocalhost.": 403, "internal.example": 403,
		"1.2.3.4.5": 403, "metrics.internal.example.": 403,
	} {
		for _, path := range []string{"/metrics", "/healthz", "/debug/pprof/cmdline", "/debug/pprof/symbol"} {
			r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			r.Host = host
			w := httptest.NewRecorder()
			admin.ServeHTTP(w, r)
			if path == "/debug/pprof/cmdline" && want == http.StatusOK {
				continue // not served at any host
			}
			if w.Code != want {
				t.Errorf("%s with host %q: got status %d, want %d", path, host, w.Code, want)
			}
		}
	}
}

func TestAdmin_ProfilesAreBounded(t *testing.T) {
	t.Parallel()
	served := 0
	bounded := boundProfile(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	for seconds, want := range map[string]int{
		"": 200, "60": 200, "1": 200, "x": 200, "-1": 200, "0.5": 200,
		"61": 400, "600": 400, "60.01": 400, "1e9": 400, "1e999": 400, "Inf": 400, "NaN": 400, "0x1p20": 400, "99999999999999999999": 400,
	} {
		served = 0
		w := httptest.NewRecorder()
		bounded.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/trace?seconds="+seconds, http.NoBody))
		if w.Code != want || (served == 1) != (want == 200) {
			t.Errorf("seconds=%s: got status %d, want %d", seconds, w.Code, want)
		}
	}
	admin := NewAdmin("127.0.0.1:0", prometheus.NewRegistry(), slog.New(slog.DiscardHandler)).Handler
	for _, path := range []string{"profile", "trace", "heap", "goroutine"} {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/"+path+"?seconds=600", http.NoBody)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s for ten minutes: got status %d", path, w.Code)
		}
	}
}
