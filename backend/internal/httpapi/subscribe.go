package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"sluice/internal/auth"
	"sluice/internal/delivery"
	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/source"
)

// subscribe answers GET /events with an event stream.
func (a *api) subscribe(c *gin.Context) {
	query, err := parseQuery(c.Request)
	if err != nil {
		a.fail(c, err)
		return
	}
	req, err := a.subscriptionOf(c.Request, query)
	if err != nil {
		a.fail(c, err)
		return
	}
	grant, err := a.Authority.Grant(c.Request, query)
	if err != nil {
		a.fail(c, err)
		return
	}
	traceTopics(c, req.Topics...)
	if err := maySubscribe(grant, req.Topics); err != nil {
		a.fail(c, err)
		return
	}
	subscription, leave, err := a.join(c, req)
	if err != nil {
		if c.Request.Context().Err() == nil {
			a.fail(c, err)
		}
		return
	}
	streamHeader(c)
	total := a.Metrics.ConnectionOpened()
	a.Log.Info("client connected", "topics", len(req.Topics), "total", total)
	endSpan(c)
	liftDeadline(c)
	a.Delivery.Serve(c.Writer, c.Request, subscription, grant.Expires, func(reason error) {
		subscription.Close()
		leave()
		total := a.Metrics.ConnectionClosed()
		a.Log.Info("client disconnected", "reason", reason, "total", total)
	})
}

// maySubscribe returns nil if the grant covers the topics, and what following them tells.
func maySubscribe(grant auth.Grant, topics []event.Topic) error {
	for _, t := range topics {
		for _, needed := range source.Needed(t) {
			if err := grant.MaySubscribe(needed); err != nil {
				return err
			}
		}
	}
	return nil
}

// join begins a subscription, if there is room for one more. leave is called when it has
// ended.
func (a *api) join(c *gin.Context, req hub.Request) (s *hub.Subscription, leave func(), err error) {
	if a.Delivery.Draining() {
		return nil, nil, delivery.ErrDraining
	}
	freeSeat, err := a.room.enter(clientOf(c))
	if err != nil {
		return nil, nil, err
	}
	backToLobby := a.lobby.leaveWith(c.Request)
	leave = func() {
		backToLobby() // first, so that no connection is counted nowhere
		freeSeat()
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), upstreamTimeout)
	defer cancel()
	s, err = a.Hub.Subscribe(ctx, req)
	if err != nil {
		leave()
		return nil, nil, err
	}
	return s, leave, nil
}

// liftDeadline lets an answer go on after answerTimeout.
func liftDeadline(c *gin.Context) {
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}) // a broken connection is noticed elsewhere
}

// streamHeader sets the header of an event stream.
func streamHeader(c *gin.Context) {
	c.Header("Content-Type", "text/event-stream")
	c.Header("Cache-Control", "no-cache, no-transform")
	c.Header("X-Accel-Buffering", "no")
}
