package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"sluice/internal/auth"
	"sluice/internal/event"
	"sluice/internal/source"
)

// maxBody bounds the body of a publish: the data of one event, or a batch of lines.
const maxBody = 1 << 20

// chunkLines bounds the lines of a batch in one transaction, since Redis runs nothing else
// during one.
const chunkLines = 256

// publishedKey is the key in a request's context of the number of lines that were published.
const publishedKey = "published"

var (
	// errSlowBody is returned if the body of a publish does not arrive in time.
	errSlowBody = statusError{http.StatusRequestTimeout, fmt.Sprintf("the body did not arrive within %s; send less at a time", bodyTimeout)}
	// errLargeBody is returned if the body of a publish is larger than maxBody.
	errLargeBody = statusError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes; send less at a time", maxBody)}
	// errReservedName is returned for a publish to a name that belongs to Redis or the gateways.
	errReservedName = statusError{http.StatusForbidden, "names that begin with __ belong to Redis and the gateways; choose another one"}
)

// publication is a publish without its data.
type publication struct {
	topic     event.Topic
	message   source.Message
	publisher string // to which the rate limit applies
	batch     bool   // each line of the body is an event
}

// publish answers POST /events. It writes the body to Redis as any other client would.
func (a *api) publish(c *gin.Context) {
	p, err := a.parsePublication(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	body, err := readText(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	p.sign(body)
	var answer gin.H
	if p.batch {
		answer, err = a.publishBatch(c, p, linesOf(body))
	} else {
		answer, err = a.publishOne(c.Request.Context(), p, body)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.logPublished(c, p.topic, len(body), answer)
	c.JSON(http.StatusOK, answer)
}

// parsePublication parses a publish without its data, and checks that the client may publish it
// now.
func (a *api) parsePublication(c *gin.Context) (p publication, err error) {
	query, err := parseQuery(c.Request)
	if err != nil {
		return p, err
	}
	if p.topic, err = parseLiteralTopic(query); err != nil {
		return p, err
	}
	traceTopics(c, p.topic)
	if p.message, err = parseMessage(query, p.topic); err != nil {
		return p, err
	}
	if p.batch = isNDJSON(c.Request); p.batch && p.message.Type == event.StreamEnd {
		return p, badRequestf("event=stream.end ends a stream, and a batch has several events; publish the end by itself")
	}
	key, err := parseIdempotencyKey(c.Request, p.topic)
	if err != nil {
		return p, err
	}
	grant, err := a.Authorizer.Grant(c.Request, query)
	if err != nil {
		return p, err
	}
	if err := mayPublish(grant, p); err != nil {
		return p, err
	}
	if key != "" {
		p.message.IdempotencyKey = scopedKey(grant, key)
	}
	if p.publisher = grant.Holder; p.publisher == "" {
		p.publisher = clientAddr(c).String()
	}
	return p, a.publishes.Allow(p.publisher, 1)
}

// mayPublish returns nil if the grant covers a publish.
func mayPublish(grant auth.Grant, p publication) error {
	if err := grant.MayPublish(p.topic); err != nil {
		return err
	}
	if source.IsInternal(p.topic) || p.topic.Kind != event.Stream && source.IsReserved(p.topic) {
		return errReservedName
	}
	if p.message.MaxLen > 0 {
		return grant.MayTrim(p.topic)
	}
	return nil
}

// scopedKey returns an idempotency key that no other publisher can use: a publisher is the
// subject of a token. Tokens without a subject share a scope, and requests without a token
// share another one.
func scopedKey(grant auth.Grant, key string) string {
	return fmt.Sprintf("%t %q %s", grant.Holder != "", grant.Subject, key)
}

// sign sets the fingerprint of a publish with an idempotency key. It covers everything that a
// retry must repeat.
func (p *publication) sign(body []byte) {
	if p.message.IdempotencyKey == "" {
		return
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%t %q ", p.batch, p.message.Type)
	hash.Write(body)
	p.message.Fingerprint = hex.EncodeToString(hash.Sum(nil))
}

// readText reads the body of a publish. It does not ask for a body whose Content-Length is too
// large (Expect: 100-continue).
func readText(c *gin.Context) ([]byte, error) {
	if c.Request.ContentLength > maxBody {
		return nil, errLargeBody
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errSlowBody
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, errLargeBody
	case err != nil:
		return nil, badRequestf("the body cannot be read to its end: %v; send as much as its header says", err)
	case !utf8.Valid(body):
		return nil, badRequestf("the body is not valid UTF-8, which is all that an event stream carries; encode binary data, as base64 for instance")
	}
	return body, nil
}

// publishOne publishes the body as one event.
func (a *api) publishOne(ctx context.Context, p publication, body []byte) (gin.H, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	p.message.Data = body
	id, err := a.Broker.Publish(ctx, p.topic, p.message)
	answer := gin.H{"topic": p.topic.String()}
	if p.topic.Kind == event.Stream {
		answer["id"] = id.String()
	}
	return answer, err
}

// publishBatch publishes each line as an event. On an error, the problem says how many
// lines were published before.
func (a *api) publishBatch(c *gin.Context, p publication, lines [][]byte) (gin.H, error) {
	if most := a.publishes.Burst(); len(lines) > most {
		return nil, statusError{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("a batch of %d lines; --publish-rate allows %d at once, so send at most as many", len(lines), most)}
	}
	if err := a.publishes.Allow(p.publisher, len(lines)-1); err != nil { // the request itself counted as one
		return nil, err
	}
	published := 0
	for chunk := range slices.Chunk(lines, chunkLines) {
		if err := a.publishChunk(c.Request.Context(), p, chunk, published); err != nil {
			c.Set(publishedKey, published)
			return nil, err
		}
		published += len(chunk)
	}
	return gin.H{"topic": p.topic.String(), "published": published}, nil
}

// publishChunk publishes lines of a batch, all or none; first is the number of the first
// one. Each chunk has its own idempotency key, so a retry of a batch that failed adds
// only the rest. The fingerprint is that of the batch: the chunks of another one differ from
// the first chunk on.
func (a *api) publishChunk(ctx context.Context, p publication, lines [][]byte, first int) error {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	if p.message.IdempotencyKey != "" && first > 0 {
		p.message.IdempotencyKey += fmt.Sprintf("\n%d", first) // no header contains a line break
	}
	messages := make([]source.Message, len(lines))
	for i, line := range lines {
		messages[i] = p.message
		messages[i].Data = line
	}
	return a.Broker.PublishAll(ctx, p.topic, messages)
}

// linesOf returns the lines of a batch that have something in them.
func linesOf(body []byte) [][]byte {
	var lines [][]byte
	for line := range bytes.Lines(body) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")) // another CR before it is data
		if len(line) > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}

func isNDJSON(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/x-ndjson"
}
