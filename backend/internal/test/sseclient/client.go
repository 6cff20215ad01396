// Package sseclient is a client for event streams that reconnects with the id of the last event, to
// any of several servers. For tests it can also misbehave: read slowly, and disconnect at random.
// It implements Server-Sent Events over HTTP and does not interpret events.
package sseclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/tmaxmax/go-sse"
)

// Event is one received event.
type Event struct {
	ID   string // newest id of the stream, of this event or an earlier one
	Type string // empty if the event has no type
	Data string
}

// Client follows one event stream. Its fields must not change while Run runs.
type Client struct {
	// Target returns the URL of the next connection.
	Target func() string
	// HTTP sends the requests. It must not have a timeout.
	HTTP *http.Client
	// Pause returns the time before the next connection. It replaces the retry: field of the
	// server.
	Pause func() time.Duration
	// Life returns the time after which the client disconnects; 0 for never. If nil, it never
	// disconnects.
	Life func() time.Duration
	// Silence is the maximum time without data before the client reconnects; 0 for no limit.
	Silence time.Duration
	// MaxEvent bounds the size of an event in bytes; 0 for 64 KiB.
	MaxEvent int
	// Reader, if not nil, wraps the body of each response, for example to slow it down. The context
	// is that of the connection.
	Reader func(context.Context, io.Reader) io.Reader

	lastID string
}

// RefusedError is returned for a response for which a retry cannot succeed.
type RefusedError struct {
	Status int
	Detail string // beginning of the body
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the server answered %d %s: %s", e.Status, http.StatusText(e.Status), e.Detail)
}

// errLeft is the cause if the client disconnected.
var errLeft = errors.New("left")

// closeEvent is the type of the event before the server closes the connection.
const closeEvent = "stream.close"

// detailBytes bounds how much of an error body is read.
const detailBytes = 1 << 10

// Run follows the stream until the context ends, and then returns nil, or until the server rejects
// the request permanently, and then returns a [RefusedError]. It calls take with each event, in
// order and from one goroutine. After the call the event counts as received. If ended is not nil,
// Run calls it with the error of each connection or failed attempt.
func (c *Client) Run(ctx context.Context, take func(Event), ended func(error)) error {
	for {
		err := c.connection(ctx, take)
		if ctx.Err() != nil {
			return nil
		}
		if _, refused := errors.AsType[*RefusedError](err); refused {
			return err
		}
		if ended != nil {
			ended(err)
		}
		select {
		case <-time.After(c.Pause()):
		case <-ctx.Done():
			return nil
		}
	}
}

// connection follows one connection to its end.
func (c *Client) connection(ctx context.Context, take func(Event)) error {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	if c.Life != nil {
		if life := c.Life(); life > 0 {
			defer time.AfterFunc(life, func() { leave(errLeft) }).Stop()
		}
	}
	alive := func() {}
	if c.Silence > 0 {
		alarm := time.AfterFunc(c.Silence, func() { leave(fmt.Errorf("no data for %s", c.Silence)) })
		defer alarm.Stop()
		alive = func() { alarm.Reset(c.Silence) }
	}
	response, err := c.request(ctx)
	if err != nil {
		return because(ctx, err)
	}
	defer response.Body.Close()
	var body io.Reader = response.Body
	if c.Reader != nil {
		body = c.Reader(ctx, body)
	}
	for e, err := range sse.Read(body, &sse.ReadConfig{MaxEventSize: c.MaxEvent}) {
		if err != nil {
			return because(ctx, err)
		}
		alive()
		if e.LastEventID != "" {
			c.lastID = e.LastEventID
		}
		take(Event{ID: c.lastID, Type: e.Type, Data: e.Data})
		if e.Type == closeEvent {
			return fmt.Errorf("the server closed: %s", e.Data)
		}
	}
	return io.EOF
}

// because returns the cause of ctx if it is done, else err.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (c *Client) request(ctx context.Context) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Target(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	if c.lastID != "" {
		request.Header.Set("Last-Event-ID", c.lastID)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if response.StatusCode == http.StatusOK && media == "text/event-stream" {
		return response, nil
	}
	defer response.Body.Close()
	detail, _ := io.ReadAll(io.LimitReader(response.Body, detailBytes)) // as much as is available
	refused := &RefusedError{response.StatusCode, strings.TrimSpace(string(detail))}
	if response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests {
		return nil, errors.New(refused.Error()) // a retry may succeed
	}
	return nil, refused
}
