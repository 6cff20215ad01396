package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"sluice/internal/event"
	"sluice/internal/source"
)

// maxBody bounds the body of a publish: the data of one event, or a batch of lines.
const maxBody = 1 << 20

// publish answers POST /events: it writes the body to Redis just as any client would.
func (a *api) publish(c *gin.Context) {
	query, err := parseQuery(c.Request)
	if err != nil {
		a.fail(c, err)
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
	message, err := messageOf(c.Request, query, topic)
	if err != nil {
		a.fail(c, err)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	if err != nil {
		a.fail(c, err)
		return
	}
	if !utf8.Valid(body) {
		a.fail(c, badRequestf("the body is not valid UTF-8, which is all that an event stream carries; encode binary data, as base64 for instance"))
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), upstreamTimeout)
	defer cancel()
	if isNDJSON(c.Request) {
		a.publishLines(ctx, c, topic, message, body)
		return
	}
	message.Data = body
	id, err := a.Broker.Publish(ctx, topic, message)
	if err != nil {
		a.fail(c, err)
		return
	}
	answer := gin.H{"topic": topic.String()}
	if topic.Kind == event.Stream {
		answer["id"] = id.String()
	}
	c.JSON(http.StatusOK, answer)
}

// publishLines publishes each line as an event. With an idempotency key, each line has
// one of its own, so that a repeated batch adds only what the first did not come to.
func (a *api) publishLines(ctx context.Context, c *gin.Context, topic event.Topic, m source.Message, body []byte) {
	published := 0
	key := m.IdempotencyKey
	for line := range bytes.Lines(body) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue
		}
		m.Data = line
		if key != "" {
			m.IdempotencyKey = fmt.Sprintf("%s\n%d", key, published)
		}
		if _, err := a.Broker.Publish(ctx, topic, m); err != nil {
			a.fail(c, fmt.Errorf("after %d lines: %w", published, err))
			return
		}
		published++
	}
	c.JSON(http.StatusOK, gin.H{"topic": topic.String(), "published": published})
}

func isNDJSON(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/x-ndjson"
}

func parseQuery(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequestf("the query cannot be read: %v; percent-encode names", err)
	}
	return query, nil
}
