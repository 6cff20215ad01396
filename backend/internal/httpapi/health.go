package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"sluice/internal/metrics"
	"sluice/internal/source"
)

// health answers GET /healthz: the process serves.
func (a *api) health(c *gin.Context) {
	c.String(http.StatusOK, "ok\n")
}

// ready answers GET /readyz with 200 if published messages reach this node.
func (a *api) ready(c *gin.Context) {
	if a.Delivery.Draining() {
		writeProblem(c, http.StatusServiceUnavailable, "draining: this server is going away")
		return
	}
	ready, unserved := a.readiness.now(c.Request.Context())
	if !ready {
		writeProblem(c, http.StatusServiceUnavailable, "Redis is unavailable, or a published probe did not return; the log of this server has the reason")
		return
	}
	text := "ok\n"
	if unserved != "" {
		text += "slots not served: " + unserved + "\n"
	}
	c.String(http.StatusOK, text)
}

// readinessAge is the maximum age of a shared readiness check.
const readinessAge = 100 * time.Millisecond

// readiness checks the broker.
type readiness struct {
	broker source.Source
	log    *slog.Logger

	mu       sync.Mutex
	answered time.Time
	reason   string // why it was not ready, empty if it was
	unserved string // slots of a cluster that were not served
}

// now returns the state of the broker, at most readinessAge old. Concurrent calls share one
// check. The reason goes to the log only, since it can name addresses and users.
func (r *readiness) now(ctx context.Context) (ready bool, unserved string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.answered) > readinessAge {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), upstreamTimeout) // the answer is for others too
		defer cancel()
		unserved, err := r.broker.Ready(ctx)
		reason := ""
		if err != nil {
			reason = err.Error()
		}
		switch {
		case reason != "" && reason != r.reason:
			r.log.Warn("not ready", "reason", reason)
		case reason == "" && unserved != "" && unserved != r.unserved:
			r.log.Warn("redis cluster is served in part", "slots_not_served", unserved)
		case reason == "" && unserved == "" && r.unserved != "":
			r.log.Info("redis cluster is served as a whole")
		}
		r.reason, r.unserved, r.answered = reason, unserved, time.Now()
	}
	return r.reason == "", r.unserved
}

// stats answers GET /stats. It is open to anyone, so it has no topic names.
func (a *api) stats(c *gin.Context) {
	s := a.Metrics.Snapshot()
	s.Topics = a.Hub.Stats().Topics
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, struct {
		Node    string `json:"node"`
		Version string `json:"version"`
		Redis   bool   `json:"redis"`
		Uptime  int64  `json:"uptime_seconds"`
		metrics.Snapshot
	}{a.Node, a.Version, a.Redis, int64(time.Since(a.started).Seconds()), s})
}
