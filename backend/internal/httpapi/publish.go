package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
)

// maxBody bounds the data of one event published over HTTP.
const maxBody = 1 << 20

// publish answers POST /events: it writes the body to Redis just as any client would.
func (a *api) publish(c *gin.Context) {
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		a.fail(c, badRequestf("the query cannot be read: %v; percent-encode names", err))
		return
	}
	topic, err := literalOf(query)
	if err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Anyone.MayPublish(topic); err != nil {
		a.fail(c, err)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	if err != nil {
		a.fail(c, err)
		return
	}
	if !utf8.Valid(data) {
		a.fail(c, badRequestf("the body is not valid UTF-8, which is all that an event stream carries; encode binary data, as base64 for instance"))
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), upstreamTimeout)
	defer cancel()
	if err := a.Broker.Publish(ctx, topic, data); err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"topic": topic.String()})
}
