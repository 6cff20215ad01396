package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"sluice/internal/event"
	"sluice/internal/source"
)

// maxBody bounds the body of a publish: the data of one event, or a batch of lines.
const maxBody = 1 << 20

// errSlowBody is why a publish is refused whose body does not arrive.
var errSlowBody = fmt.Errorf("the body did not arrive within %s; send less at a time", bodyTimeout)

// tooManyLinesError is why a batch is refused that no publisher may send at once.
type tooManyLinesError struct{ lines, most int }

func (e tooManyLinesError) Error() string {
	return fmt.Sprintf("a batch of %d lines; --publish-rate lets through %d at once, so send at most as many", e.lines, e.most)
}

// publication is what a request publishes, without the data.
type publication struct {
	topic     event.Topic
	message   source.Message
	publisher string // whose quota it takes from
}

// publish answers POST /events: it writes the body to Redis just as any client would.
func (a *api) publish(c *gin.Context) {
	p, err := a.publicationOf(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	body, err := readText(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), upstreamTimeout)
	defer cancel()
	var answer gin.H
	if isNDJSON(c.Request) {
		answer, err = a.publishLines(ctx, p, linesOf(body))
	} else {
		answer, err = a.publishOne(ctx, p, body)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, answer)
}

// publicationOf reads everything of a publish but the data, if the client may publish to
// the topic, and one event more now.
func (a *api) publicationOf(c *gin.Context) (p publication, err error) {
	query, err := parseQuery(c.Request)
	if err != nil {
		return p, err
	}
	if p.topic, err = literalOf(query); err != nil {
		return p, err
	}
	traceTopics(c, p.topic)
	grant, err := a.Authority.Grant(c.Request, query)
	if err != nil {
		return p, err
	}
	if err := grant.MayPublish(p.topic); err != nil {
		return p, err
	}
	if p.message, err = messageOf(c.Request, query, p.topic); err != nil {
		return p, err
	}
	if p.publisher = grant.Holder; p.publisher == "" {
		p.publisher = clientOf(c).String()
	}
	return p, a.quota.take(p.publisher, 1)
}

// readText reads the body of a publish.
func readText(c *gin.Context) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errSlowBody
	case err != nil:
		return nil, err
	case !utf8.Valid(body):
		return nil, badRequestf("the body is not valid UTF-8, which is all that an event stream carries; encode binary data, as base64 for instance")
	}
	return body, nil
}

// publishOne publishes the body as one event.
func (a *api) publishOne(ctx context.Context, p publication, body []byte) (gin.H, error) {
	p.message.Data = body
	id, err := a.Broker.Publish(ctx, p.topic, p.message)
	answer := gin.H{"topic": p.topic.String()}
	if p.topic.Kind == event.Stream {
		answer["id"] = id.String()
	}
	return answer, err
}

// publishLines publishes each line as an event. With an idempotency key, each line has
// one of its own, so that a repeated batch adds only what the first did not come to.
func (a *api) publishLines(ctx context.Context, p publication, lines [][]byte) (gin.H, error) {
	if most := a.quota.atOnce(); len(lines) > most {
		return nil, tooManyLinesError{len(lines), most}
	}
	if err := a.quota.take(p.publisher, len(lines)-1); err != nil { // one has been taken for the request
		return nil, err
	}
	key := p.message.IdempotencyKey
	for i, line := range lines {
		p.message.Data = line
		if key != "" {
			p.message.IdempotencyKey = fmt.Sprintf("%s\n%d", key, i)
		}
		if _, err := a.Broker.Publish(ctx, p.topic, p.message); err != nil {
			return nil, fmt.Errorf("after %d lines: %w", i, err)
		}
	}
	return gin.H{"topic": p.topic.String(), "published": len(lines)}, nil
}

// linesOf returns the lines of a batch that have something in them.
func linesOf(body []byte) [][]byte {
	var lines [][]byte
	for line := range bytes.Lines(body) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}

func isNDJSON(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/x-ndjson"
}
