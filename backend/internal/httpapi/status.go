package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// health answers GET /healthz: the process serves.
func (a *api) health(c *gin.Context) {
	c.String(http.StatusOK, "ok\n")
}

// ready answers GET /readyz: what is published reaches this node, so that clients may
// be sent to it.
func (a *api) ready(c *gin.Context) {
	if a.Delivery.Draining() {
		writeProblem(c, http.StatusServiceUnavailable, "draining: this server is going away")
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), upstreamTimeout)
	defer cancel()
	if err := a.Broker.Ready(ctx); err != nil {
		writeProblem(c, http.StatusServiceUnavailable, err.Error())
		return
	}
	c.String(http.StatusOK, "ok\n")
}

// stats answers GET /stats. It is open to anyone, so it has no topic names.
func (a *api) stats(c *gin.Context) {
	s := a.Metrics.Snapshot()
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, struct {
		Node        string `json:"node"`
		Version     string `json:"version"`
		Uptime      int64  `json:"uptime_seconds"`
		Connections int64  `json:"connections"`
		Topics      int    `json:"topics"`
		Events      int64  `json:"events"`
		Deliveries  int64  `json:"deliveries"`
		Gaps        int64  `json:"gaps"`
		SlowClients int64  `json:"slow_clients"`
		Memory      int64  `json:"memory_bytes"`
	}{
		a.Node, a.Version, int64(time.Since(a.started).Seconds()), s.Connections, a.Hub.Stats().Topics,
		s.Events, s.Deliveries, s.Gaps, s.SlowClients, s.MemoryBytes,
	})
}
