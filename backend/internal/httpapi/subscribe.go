package httpapi

import (
	"context"
	"net/http"
	"net/netip"
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
	from := clientOf(c)
	subscription, backToLobby, err := a.join(c, req, from)
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
	dropBody(c)
	// What this refers to, every connection keeps until its end.
	ended := func(reason error) {
		subscription.Close()
		a.room.leave(from)
		total := a.Metrics.ConnectionClosed()
		a.Log.Info("client disconnected", "reason", reason, "total", total)
	}
	if reason := a.Delivery.Serve(c.Writer, c.Request, subscription, grant.Expires, ended); reason != nil {
		backToLobby() // first, so that no connection is counted nowhere
		ended(reason)
	}
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

// join begins a subscription, if there is room for one more from that address. It leaves
// the room when it has ended, and its connection, if that is still the server's, goes back
// to the lobby before.
func (a *api) join(c *gin.Context, req hub.Request, from netip.Addr) (s *hub.Subscription, backToLobby func(), err error) {
	if a.Delivery.Draining() {
		return nil, nil, delivery.ErrDraining
	}
	if err := a.room.enter(from); err != nil {
		return nil, nil, err
	}
	backToLobby = a.lobby.leaveWith(c.Request)
	ctx, cancel := context.WithTimeout(c.Request.Context(), upstreamTimeout)
	defer cancel()
	s, err = a.Hub.Subscribe(ctx, req)
	if err != nil {
		backToLobby()
		a.room.leave(from)
		return nil, nil, err
	}
	return s, backToLobby, nil
}

// liftDeadline lets an answer go on after answerTimeout.
func liftDeadline(c *gin.Context) {
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}) // a broken connection is noticed elsewhere
}

// dropBody lets go of what came with a request, which nobody reads: HTTP/2 would hold it to
// the end of the stream. HTTP/1.1 holds nothing, and there Close waits for the rest.
func dropBody(c *gin.Context) {
	if c.Request.ProtoMajor == 2 {
		_ = c.Request.Body.Close() // it never fails
	}
}

// streamHeader sets the header of an event stream.
func streamHeader(c *gin.Context) {
	c.Header("Content-Type", "text/event-stream")
	c.Header("Cache-Control", "no-cache, no-transform")
	c.Header("X-Accel-Buffering", "no")
}
