// Package httpapi is the HTTP face of Sluice: routes, handlers, limits, and errors as
// RFC 9457 problems. It does not know Redis.
package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace"

	"sluice/internal/admission"
	"sluice/internal/auth"
	"sluice/internal/delivery"
	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/metrics"
	"sluice/internal/source"
)

// Options are the settings of the API and the parts that it serves.
type Options struct {
	Node          string
	Version       string
	Redis         bool // false for the embedded broker
	DefaultTopics []event.Topic
	CORSOrigins   []string
	WebDir        string // of the built web app; empty for none

	MaxConnections      int      // subscriptions, 0 for as many as there are file descriptors
	MaxConnectionsPerIP int      // of them from one address, 0 for any number
	TrustedProxies      []string // addresses and CIDR blocks whose X-Forwarded-For counts
	PublishRate         int      // events a second of one token or address, 0 for any number

	Authorizer *auth.Authorizer
	Hub        *hub.Hub
	Delivery   *delivery.Server
	Broker     source.Source // for publishing and readiness; the hub follows topics
	Metrics    *metrics.Metrics
	Tracer     trace.Tracer // nil for no traces
	Log        *slog.Logger
}

type api struct {
	Options
	started       time.Time
	lastID        atomic.Uint64 // of the subscriptions, for the log
	conns         *admission.ConnLimiter
	subscriptions *admission.SubscriptionLimiter
	publishes     *admission.PublishLimiter
	readiness     *readiness
}

// upstreamTimeout bounds how long a request waits for Redis.
const upstreamTimeout = 5 * time.Second

// drainingTimeout bounds how long a subscription waits for Redis while the server is draining.
const drainingTimeout = time.Second

// New returns the server of the public address.
func New(options Options) (*http.Server, error) {
	subscriptions, conns := admission.Budget(admission.DescriptorLimit(), options.MaxConnections, options.Log)
	options.Metrics.SetMaxConnections(subscriptions)
	a := &api{
		Options:       options,
		started:       time.Now(),
		conns:         admission.NewConnLimiter(conns),
		subscriptions: admission.NewSubscriptionLimiter(subscriptions, options.MaxConnectionsPerIP),
		publishes:     admission.NewPublishLimiter(options.PublishRate),
		readiness:     &readiness{broker: options.Broker, log: options.Log},
	}
	routes, err := a.routes()
	if err != nil {
		return nil, err
	}
	server := newServer(a.conns.Handler(routes), options.Log)
	server.WriteTimeout = answerTimeout
	server.ConnState = a.conns.ConnState
	server.ConnContext = admission.ConnContext
	return server, nil
}

func (a *api) routes() (http.Handler, error) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.RemoteIPHeaders = []string{"X-Forwarded-For"}
	if err := r.SetTrustedProxies(a.TrustedProxies); err != nil {
		return nil, fmt.Errorf("--trusted-proxies: %w", err)
	}
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.Use(a.logRefusal, a.recover, normalizeForwarded, a.closeWhileDraining, corsPolicy(a.CORSOrigins), boundBody)

	r.GET("/events", a.traced("subscribe"), a.subscribe)
	r.POST("/events", a.traced("publish"), a.publish)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.Handle(method, "/healthz", a.health)
		r.Handle(method, "/readyz", a.ready)
	}
	r.GET("/stats", a.stats)
	r.NoMethod(methodNotAllowed)
	app, err := loadWebApp(a.WebDir, a.Log)
	if err != nil {
		return nil, fmt.Errorf("--web-dir: %w", err)
	}
	r.NoRoute(app.serve)
	return r, nil
}

// closeWhileDraining makes the client of each request open its next connection elsewhere.
func (a *api) closeWhileDraining(c *gin.Context) {
	if a.Delivery.Draining() {
		c.Header("Connection", "close")
	}
}

// boundBody limits the time in which the body of a request must arrive, also after an early
// response: the server still reads the rest.
func boundBody(c *gin.Context) {
	if c.Request.Body != http.NoBody {
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(bodyTimeout)) // a broken connection is noticed elsewhere
	}
}

// corsPolicy allows pages of the origins to connect. With *, requests have no credentials, since
// any page could otherwise use the cookie of its visitor.
func corsPolicy(origins []string) gin.HandlerFunc {
	policy := cors.Config{
		AllowMethods: []string{http.MethodGet, http.MethodPost},
		AllowHeaders: []string{"Authorization", "Cache-Control", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Traceparent", "Tracestate"},
		MaxAge:       12 * time.Hour,
	}
	if slices.Contains(origins, "*") {
		policy.AllowAllOrigins = true
		return cors.New(policy)
	}
	policy.AllowOrigins = origins
	for _, origin := range origins { // any scheme is allowed, also that of an app
		scheme, _, _ := strings.Cut(origin, "://")
		policy.CustomSchemas = append(policy.CustomSchemas, scheme+"://")
	}
	policy.AllowOriginWithContextFunc = func(c *gin.Context, origin string) bool {
		writeProblem(c, http.StatusForbidden, fmt.Sprintf("pages of %s may not connect; --cors-origins names those that may", origin))
		return false
	}
	policy.AllowCredentials = true
	return cors.New(policy)
}
