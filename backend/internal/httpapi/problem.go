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

// badRequestError is returned for a request that the client has to change.
type badRequestError struct{ detail string }

func (e badRequestError) Error() string { return e.detail }

func badRequestf(format string, args ...any) error {
	return badRequestError{fmt.Sprintf(format, args...)}
}

// response is the answer to an error.
type response struct {
	err    error
	status int
	detail string
}

// statuses are the responses to errors that a retry does not fix. The first match counts. An
// empty detail is the text of the error.
var statuses = []response{
	{event.ErrBadTopic, http.StatusBadRequest, ""},
	{source.ErrTooManyKeys, http.StatusBadRequest, ""},
	{hub.ErrKeyBytes, http.StatusBadRequest, ""},
	{source.ErrUnsupported, http.StatusBadRequest, ""},
	{auth.ErrTokenNeeded, http.StatusUnauthorized, ""},
	{auth.ErrInvalidToken, http.StatusUnauthorized, ""},
	{auth.ErrNotAllowed, http.StatusForbidden, ""},
	{errReservedName, http.StatusForbidden, ""},
	{source.ErrForbidden, http.StatusForbidden, "Redis does not let this server do that with the topic; the ACL of its user decides that"},
	{errSlowBody, http.StatusRequestTimeout, ""},
	{source.ErrWrongType, http.StatusConflict, ""},
	{source.ErrKeyReused, http.StatusUnprocessableEntity, "Idempotency-Key was used for another publish to this topic in the last 10 minutes; repeat that one unchanged, or use a new key"},
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

// isLasting reports whether a retry of the same request cannot help.
func isLasting(err error) bool {
	return slices.ContainsFunc(statuses, func(s response) bool { return errors.Is(err, s.err) })
}

// fail answers a request with an error. No other function turns errors into responses.
func (a *api) fail(c *gin.Context, err error) {
	var bad badRequestError
	var tooLarge *http.MaxBytesError
	var tooMany tooManyLinesError
	var tooFast admission.RateError
	switch {
	case errors.Is(err, hub.ErrFinished):
		c.Header("Cache-Control", "no-cache")
		c.AbortWithStatus(http.StatusNoContent)
		return
	case errors.As(err, &bad):
		writeProblem(c, http.StatusBadRequest, err.Error())
		return
	case errors.As(err, &tooLarge):
		writeProblem(c, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes; send less at a time", tooLarge.Limit))
		return
	case errors.As(err, &tooMany):
		writeProblem(c, http.StatusRequestEntityTooLarge, err.Error())
		return
	case errors.As(err, &tooFast):
		c.Header("Retry-After", fmt.Sprint(int(math.Ceil(tooFast.Wait.Seconds()))))
		writeProblem(c, http.StatusTooManyRequests, err.Error())
		return
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			c.Header("WWW-Authenticate", challenge(s.err))
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

// challenge returns the WWW-Authenticate header of a response, empty for none.
func challenge(err error) string {
	switch {
	case errors.Is(err, auth.ErrTokenNeeded):
		return "Bearer"
	case errors.Is(err, auth.ErrInvalidToken):
		return `Bearer error="invalid_token"`
	}
	return ""
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
	for _, accept := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(accept, ",") {
			media, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(media), "text/event-stream") {
				return true
			}
		}
	}
	return false
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
