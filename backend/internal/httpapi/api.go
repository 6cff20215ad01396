// Package httpapi is the HTTP face of Sluice: routes, handlers, limits, and errors as
// RFC 9457 problems. It does not know Redis.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"

	"sluice/internal/auth"
	"sluice/internal/delivery"
	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/metrics"
	"sluice/internal/source"
)

// Broker is what the API needs of the source behind the hub.
type Broker interface {
	Publish(ctx context.Context, topic event.Topic, m source.Message) (source.ID, error)
	Ready(ctx context.Context) error
}

// Options are the settings of the API and the parts that it serves.
type Options struct {
	Node          string
	Version       string
	DefaultTopics []event.Topic
	Anyone        auth.Grant // what a request without a token may do
	CORSOrigins   []string
	WebDir        string // of the built web app; empty for none

	Hub      *hub.Hub
	Delivery *delivery.Server
	Broker   Broker
	Metrics  *metrics.Metrics
	Log      *slog.Logger
}

type api struct {
	Options
	started time.Time
}

// upstreamTimeout bounds how long a request waits for Redis.
const upstreamTimeout = 5 * time.Second

// New returns the handler of the public address.
func New(options Options) http.Handler {
	a := &api{options, time.Now()}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.Use(a.recover, corsPolicy(options.CORSOrigins))

	r.GET("/events", a.subscribe)
	r.POST("/events", a.publish)
	r.GET("/healthz", a.health)
	r.GET("/readyz", a.ready)
	r.GET("/stats", a.stats)
	r.NoMethod(methodNotAllowed)
	r.NoRoute(webApp(options.WebDir))
	return r
}

// corsPolicy lets pages of the origins connect. With * there are no credentials: any
// page could otherwise act with its visitor's cookie.
func corsPolicy(origins []string) gin.HandlerFunc {
	policy := cors.Config{
		AllowMethods: []string{http.MethodGet, http.MethodPost},
		AllowHeaders: []string{"Authorization", "Cache-Control", "Content-Type", "Idempotency-Key", "Last-Event-ID"},
		MaxAge:       12 * time.Hour,
	}
	if slices.Contains(origins, "*") {
		policy.AllowAllOrigins = true
		return cors.New(policy)
	}
	policy.AllowOrigins = origins
	policy.AllowCredentials = true
	return cors.New(policy)
}
