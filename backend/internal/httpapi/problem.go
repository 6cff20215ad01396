package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"sluice/internal/admission"
	"sluice/internal/auth"
	"sluice/internal/delivery"
	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/source"
)

// problem is the body of an error (RFC 9457). Its type is always about:blank. The status is the
// kind of the error, and the detail says what to change.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Published is the number of lines of a batch that were published before the error.
	Published any `json:"published,omitempty"`
}

func writeProblem(c *gin.Context, status int, detail string) {
	published, _ := c.Get(publishedKey)
	c.Set(detailKey, detail)
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(status, problem{"about:blank", http.StatusText(status), status, detail, published})
}

// statusError is an error with the status of its response. Its detail is for the client.
type statusError struct {
	status int
	detail string
}

func (e statusError) Error() string { return e.detail }

func badRequestf(format string, args ...any) error {
	return statusError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// statuses are the responses to errors that a retry does not fix. The first match counts. An
// empty detail is the text of the error.
var statuses = []struct {
	err    error
	status int
	detail string
}{
	{event.ErrBadTopic, http.StatusBadRequest, ""},
	{source.ErrTooManyKeys, http.StatusBadRequest, ""},
	{hub.ErrKeyBytes, http.StatusBadRequest, ""},
	{source.ErrUnsupported, http.StatusBadRequest, ""},
	{auth.ErrTokenNeeded, http.StatusUnauthorized, ""},
	{auth.ErrInvalidToken, http.StatusUnauthorized, ""},
	{auth.ErrNotAllowed, http.StatusForbidden, ""},
	{source.ErrForbidden, http.StatusForbidden, "Redis does not let this server do that with the topic; the ACL of its user decides that"},
	{source.ErrWrongType, http.StatusConflict, ""},
	{source.ErrKeyReused, http.StatusUnprocessableEntity, "Idempotency-Key was used for another publish to this topic in the last 10 minutes; repeat that one unchanged, or use a new key"},
}

// challenges are the WWW-Authenticate headers of the responses to errors.
var challenges = map[error]string{
	auth.ErrTokenNeeded:  "Bearer",
	auth.ErrInvalidToken: `Bearer error="invalid_token"`,
}

// rejections are the responses to errors after which a client tries again later. The first match
// counts. An empty detail is the text of the error.
var rejections = []struct {
	err    error
	reason event.CloseReason
	detail string
}{
	{delivery.ErrDraining, event.Draining, "this server is going away; try again, another one may answer"},
	{hub.ErrClosed, event.Draining, "this server is going away; try again, another one may answer"},
	{admission.ErrFull, event.Overloaded, "there is no room for another subscription now, on this server or from this address; close some, or try again later"},
	{hub.ErrFull, event.Overloaded, "this server has no room for another topic; ask for one that others follow, or try again later"},
	{source.ErrFull, event.Overloaded, ""},
	{auth.ErrNoKeys, event.Unavailable, "the token cannot be verified now; try again later"},
	{source.ErrUnavailable, event.Unavailable, "Redis is unavailable or refused the request; try again later"},
	{context.DeadlineExceeded, event.Unavailable, "Redis is unavailable or refused the request; try again later"},
}

// fail answers a request with an error. No other function turns errors into responses.
func (a *api) fail(c *gin.Context, err error) {
	var known statusError
	var tooFast admission.RateError
	switch {
	case errors.Is(err, hub.ErrFinished):
		c.Header("Cache-Control", "no-cache")
		c.AbortWithStatus(http.StatusNoContent)
		return
	case errors.As(err, &known):
		writeProblem(c, known.status, known.detail)
		return
	case errors.As(err, &tooFast):
		c.Header("Retry-After", fmt.Sprint(int(math.Ceil(tooFast.Wait.Seconds()))))
		writeProblem(c, http.StatusTooManyRequests, err.Error())
		return
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			c.Header("WWW-Authenticate", challenges[s.err])
			writeProblem(c, s.status, cmp.Or(s.detail, err.Error()))
			return
		}
	}
	for _, r := range rejections {
		if errors.Is(err, r.err) {
			a.reject(c, r.reason, cmp.Or(r.detail, err.Error()), err)
			return
		}
	}
	a.Log.Error("request failed", "error", err)
	writeProblem(c, http.StatusInternalServerError, "the server failed; its log says why")
}

// reject answers a request that the server cannot serve now. An EventSource does not reconnect
// after a status other than 200, so it receives a stream that ends at once.
func (a *api) reject(c *gin.Context, reason event.CloseReason, detail string, cause error) {
	a.Metrics.Rejected(reason)
	traceRejected(c, reason)
	level := slog.LevelDebug
	if errors.Is(cause, source.ErrUnavailable) || errors.Is(cause, context.DeadlineExceeded) {
		level = slog.LevelWarn
	}
	a.Log.Log(c.Request.Context(), level, "request rejected", "client", clientAddr(c), "reason", reason, "error", cause)
	if c.Request.Method == http.MethodGet && acceptsEventStream(c.Request) {
		streamHeader(c)
		c.Status(http.StatusOK)
		_, _ = c.Writer.Write(event.AppendClose(nil, reason, a.Delivery.LongRetry())) // an error means that the client has gone
		c.Abort()
		return
	}
	seconds := a.Delivery.LongRetry().Seconds()
	c.Header("Retry-After", fmt.Sprint(int(seconds)+1+rand.IntN(3)))
	writeProblem(c, http.StatusServiceUnavailable, detail)
}

// acceptsEventStream reports whether the Accept header names the media type. Other clients than
// an EventSource send */*.
func acceptsEventStream(r *http.Request) bool {
	return slices.ContainsFunc(listItems(r, "Accept"), func(item string) bool {
		media, _, _ := strings.Cut(item, ";")
		return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
	})
}

// listItems returns the items of a header that is a comma-separated list, which may have several
// lines.
func listItems(r *http.Request, header string) []string {
	return strings.Split(strings.Join(r.Header.Values(header), ","), ",")
}

func methodNotAllowed(c *gin.Context) {
	writeProblem(c, http.StatusMethodNotAllowed, fmt.Sprintf("%s is not possible here; use %s", c.Request.Method, c.Writer.Header().Get("Allow")))
}

// recover answers a request with 500 after a panic, and logs the panic.
func (a *api) recover(c *gin.Context) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			a.Log.Error("handler panicked", "panic", p, "stack", string(debug.Stack()))
			if c.Writer.Written() {
				panic(http.ErrAbortHandler) // the client must see that the response is incomplete
			}
			writeProblem(c, http.StatusInternalServerError, "the server failed; its log says why")
		}
	}()
	c.Next()
}
