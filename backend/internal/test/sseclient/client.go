// Package sseclient follows an event stream as a patient client does: it comes back
// with the id of the last event when a connection ends, to any of several servers. It
// can also behave badly on purpose, for tests: read slowly, and leave at random. It
// knows Server-Sent Events and HTTP, not what the events mean.
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

// Event is one event as it arrived.
type Event struct {
	ID   string // the newest id of the stream, of this event or an earlier one
	Type string // empty for none
	Data string
}

// Client follows one event stream. Its fields must not change while Run runs.
type Client struct {
	// Target returns the URL of the next connection.
	Target func() string
	// HTTP makes the requests. It must not have a timeout.
	HTTP *http.Client
	// Pause returns how long to wait before the next connection. It takes the place of
	// the server's retry: field.
	Pause func() time.Duration
	// Life returns after how long the client leaves a connection by itself, 0 for never.
	// If nil, it never leaves.
	Life func() time.Duration
	// Silence is how long a connection may bring nothing before it is given up; 0 for
	// any time.
	Silence time.Duration
	// MaxEvent bounds the size of an event in bytes; 0 for 64 KiB.
	MaxEvent int
	// Reader, if not nil, wraps the body of each response, to slow it down for instance.
	// The context is that of the connection.
	Reader func(context.Context, io.Reader) io.Reader

	lastID string
}

// RefusedError is an answer that coming back will not change.
type RefusedError struct {
	Status int
	Detail string // the beginning of the body
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the server answered %d %s: %s", e.Status, http.StatusText(e.Status), e.Detail)
}

// errLeft is why a connection ended that the client left by itself.
var errLeft = errors.New("left")

// closeEvent is the server's announcement that it ends the connection.
const closeEvent = "stream.close"

// detailBytes bounds how much of an error's body is kept.
const detailBytes = 1 << 10

// Run follows the stream until the context ends, which is no error, or the server
// refuses for good, which is a [RefusedError]. It calls take with each event, in order
// and from one goroutine; once take has been called, the event counts as seen. It calls
// ended, if not nil, with the reason why each connection ended or did not come about.
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
		alarm := time.AfterFunc(c.Silence, func() { leave(fmt.Errorf("nothing came for %s", c.Silence)) })
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

// because returns the cause of a connection's end if it was ended here, else err.
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
	detail, _ := io.ReadAll(io.LimitReader(response.Body, detailBytes)) // what there is of it
	refused := &RefusedError{response.StatusCode, strings.TrimSpace(string(detail))}
	if response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests {
		return nil, errors.New(refused.Error()) // that may change
	}
	return nil, refused
}
