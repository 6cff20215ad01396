package httpapi

import (
	"context"

	"github.com/gin-gonic/gin"

	"sluice/internal/delivery"
)

// subscribe answers GET /events with an event stream.
func (a *api) subscribe(c *gin.Context) {
	req, err := a.subscriptionOf(c.Request)
	if err != nil {
		a.fail(c, err)
		return
	}
	for _, t := range req.Topics {
		if err := a.Anyone.MaySubscribe(t); err != nil {
			a.fail(c, err)
			return
		}
	}
	if a.Delivery.Draining() {
		a.fail(c, delivery.ErrDraining)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), upstreamTimeout)
	subscription, err := a.Hub.Subscribe(ctx, req)
	cancel()
	if err != nil {
		if c.Request.Context().Err() == nil {
			a.fail(c, err)
		}
		return
	}
	streamHeader(c)
	total := a.Metrics.ConnectionOpened()
	a.Log.Info("client connected", "topics", len(req.Topics), "total", total)
	a.Delivery.Serve(c.Writer, c.Request, subscription, func(reason error) {
		subscription.Close()
		total := a.Metrics.ConnectionClosed()
		a.Log.Info("client disconnected", "reason", reason, "total", total)
	})
}

// streamHeader sets the header of an event stream.
func streamHeader(c *gin.Context) {
	c.Header("Content-Type", "text/event-stream")
	c.Header("Cache-Control", "no-cache, no-transform")
	c.Header("X-Accel-Buffering", "no")
}
