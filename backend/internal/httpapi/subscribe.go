package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"

	"sluice/internal/admission"
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
	req, err := a.parseSubscription(c.Request, query)
	if err != nil {
		a.fail(c, err)
		return
	}
	grant, err := a.Authorizer.Grant(c.Request, query)
	if err != nil {
		a.fail(c, err)
		return
	}
	traceTopics(c, req.Topics...)
	if err := maySubscribe(grant, req.Topics); err != nil {
		a.fail(c, err)
		return
	}
	if req.Finished() { // also while draining, and while Redis is unavailable
		a.fail(c, hub.ErrFinished)
		return
	}
	addr := clientAddr(c)
	subscription, streamEnded, err := a.join(c, req, addr)
	if err != nil {
		if c.Request.Context().Err() == nil {
			a.fail(c, err)
		}
		return
	}
	streamHeader(c)
	total := a.Metrics.ConnectionOpened()
	id, opened := a.lastID.Add(1), time.Since(a.started)
	a.Log.Info("subscribed", "id", id, "client", addr, "topics", len(req.Topics), "total", total)
	endSpan(c)
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}) // delivery notices a broken connection
	if c.Request.ProtoMajor == 2 {
		// Otherwise HTTP/2 holds the body until the end of the stream. HTTP/1.1 holds nothing, and
		// its Close would wait for the rest of the body.
		_ = c.Request.Body.Close() // it never fails
	}
	// Every connection keeps the variables of this function until its end.
	ended := func(end *delivery.End) {
		subscription.Close()
		a.subscriptions.Release(addr)
		total := a.Metrics.ConnectionClosed()
		a.logUnsubscribed(id, addr, time.Since(a.started)-opened, end, total)
	}
	if end := a.Delivery.Serve(c.Writer, c.Request, subscription, grant.Expires, ended); end != nil {
		if evicted := streamEnded(); evicted { // before ended, since each connection must count somewhere
			end = &delivery.End{Reason: delivery.Overloaded}
		}
		ended(end)
	}
}

// maySubscribe returns nil if the grant covers the topics and everything that they disclose.
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

// join begins a subscription if the limits allow one more from that address. The caller calls
// streamEnded, if the server still has the connection, and then releases the subscription.
func (a *api) join(c *gin.Context, req hub.Request, addr netip.Addr) (s *hub.Subscription, streamEnded func() bool, err error) {
	if a.Delivery.Draining() {
		return nil, nil, a.refuseDraining(c.Request.Context(), req)
	}
	if err := a.subscriptions.Acquire(addr); err != nil {
		return nil, nil, err
	}
	streamEnded = a.conns.StreamStarted(c.Request)
	ctx, cancel := context.WithTimeout(c.Request.Context(), upstreamTimeout)
	defer cancel()
	s, err = a.Hub.Subscribe(ctx, req)
	if err != nil {
		streamEnded()
		a.subscriptions.Release(addr)
		return nil, nil, err
	}
	return s, streamEnded, nil
}

// refuseDraining returns the error of a subscription while the server is draining: the same as at other
// times if a retry cannot help.
func (a *api) refuseDraining(ctx context.Context, req hub.Request) error {
	ctx, cancel := context.WithTimeout(ctx, drainingTimeout)
	defer cancel()
	s, err := a.Hub.Subscribe(ctx, req)
	if err == nil {
		s.Close()
	}
	for _, lasting := range statuses {
		if errors.Is(err, lasting.err) {
			return err
		}
	}
	return delivery.ErrDraining
}

// clientAddr returns the address to which the limits of a client apply: the last one in
// X-Forwarded-For that is not a trusted proxy, if the connection is from a trusted proxy.
func clientAddr(c *gin.Context) netip.Addr {
	addr, _ := netip.ParseAddr(c.ClientIP()) // zero if it is not an IP address
	return admission.Site(addr)
}

// streamHeader sets the header of an event stream.
func streamHeader(c *gin.Context) {
	c.Header("Content-Type", "text/event-stream")
	c.Header("Cache-Control", "no-cache, no-transform")
	c.Header("X-Accel-Buffering", "no")
}
