package httpapi

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewAdmin returns the server of the admin address addr, which is not for the public. Not
// even there is the command line shown, which can hold secrets.
func NewAdmin(addr string, registry *prometheus.Registry, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {}) // for checks that do not know --addr and --tls-cert
	profiles := http.NewServeMux()
	profiles.HandleFunc("GET /debug/pprof/", pprof.Index)
	profiles.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	profiles.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	profiles.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("GET /debug/pprof/", boundProfile(profiles))
	return newServer(checkHost(addr, mux), log)
}

// checkHost rejects requests for names that an attacker can register. A page of such a name
// could resolve it to the admin address (DNS rebinding), and would then be of the same origin.
func checkHost(addr string, next http.Handler) http.Handler {
	configured, _, _ := net.SplitHostPort(addr) // empty for all addresses
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := (&url.URL{Host: r.Host}).Hostname()
		if !isLocalName(name) && !strings.EqualFold(name, configured) {
			http.Error(w, fmt.Sprintf("the admin address does not serve the name %q; use an IP address, localhost, or the host of --admin-addr", name), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocalName reports whether a name in a URL is an IP address or cannot be a public domain:
// a loopback name, or a name without a dot, such as that of a service in a compose file.
func isLocalName(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil || !strings.Contains(name, ".") || strings.HasSuffix(strings.ToLower(name), ".localhost")
}

// maxProfileSeconds bounds how long a profile or a trace records.
const maxProfileSeconds = 60

// boundProfile rejects profiles that record for too long. pprof ignores a text that is not a
// number.
func boundProfile(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seconds, _ := strconv.ParseFloat(r.FormValue("seconds"), 64) // infinite if it is too large
		if seconds > maxProfileSeconds || math.IsNaN(seconds) {
			http.Error(w, fmt.Sprintf("seconds is at most %d", maxProfileSeconds), http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
