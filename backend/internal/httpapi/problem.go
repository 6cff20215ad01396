package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/gin-gonic/gin"

	"sluice/internal/admission"
	"sluice/internal/auth"
	"sluice/internal/delivery"
	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/source"
)

// problem is the body of an error (RFC 9457). Its type is always about:blank: the
// status says what kind of error it is, the detail what to change.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Published is how many lines of a batch were published before the error.
	Published any `json:"published,omitempty"`
}

func writeProblem(c *gin.Context, status int, detail string) {
	published, _ := c.Get(publishedKey)
	c.Set(detailKey, detail)
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(status, problem{"about:blank", http.StatusText(status), status, detail, published})
}

// badRequestError is an error of the client's making.
type badRequestError struct{ detail string }

func (e badRequestError) Error() string { return e.detail }

func badRequestf(format string, args ...any) error {
	return badRequestError{fmt.Sprintf(format, args...)}
}

// fail answers a request with an error: the one place that turns errors into HTTP.
func (a *api) fail(c *gin.Context, err error) {
	var bad badRequestError
	var tooLarge *http.MaxBytesError
	var tooMany tooManyLinesError
	var tooFast admission.RateError
	switch {
	case errors.Is(err, hub.ErrFinished):
		c.Header("Cache-Control", "no-cache")
		c.AbortWithStatus(http.StatusNoContent)
	case errors.As(err, &bad), errors.Is(err, event.ErrBadTopic), errors.Is(err, source.ErrTooManyKeys),
		errors.Is(err, hub.ErrKeyBytes), errors.Is(err, source.ErrUnsupported):
		writeProblem(c, http.StatusBadRequest, err.Error())
	case errors.Is(err, source.ErrForbidden):
		writeProblem(c, http.StatusForbidden, "Redis does not let this server do that with the topic; the ACL of its user decides that")
	case errors.Is(err, source.ErrWrongType):
		writeProblem(c, http.StatusConflict, err.Error())
	case errors.Is(err, source.ErrKeyReused):
		writeProblem(c, http.StatusUnprocessableEntity, "Idempotency-Key was used for another publish to this topic in the last 10 minutes; repeat that one unchanged, or use a new key")
	case errors.As(err, &tooLarge):
		writeProblem(c, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes; send less at a time", tooLarge.Limit))
	case errors.As(err, &tooMany):
		writeProblem(c, http.StatusRequestEntityTooLarge, err.Error())
	case errors.Is(err, errSlowBody):
		writeProblem(c, http.StatusRequestTimeout, err.Error())
	case errors.Is(err, auth.ErrTokenNeeded):
		c.Header("WWW-Authenticate", "Bearer")
		writeProblem(c, http.StatusUnauthorized, err.Error())
	case errors.Is(err, auth.ErrInvalidToken):
		c.Header("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeProblem(c, http.StatusUnauthorized, err.Error())
	case errors.Is(err, auth.ErrNotAllowed), errors.Is(err, errReservedName):
		writeProblem(c, http.StatusForbidden, err.Error())
	case errors.As(err, &tooFast):
		c.Header("Retry-After", fmt.Sprint(int(math.Ceil(tooFast.Wait.Seconds()))))
		writeProblem(c, http.StatusTooManyRequests, err.Error())
	case errors.Is(err, delivery.ErrDraining), errors.Is(err, hub.ErrClosed):
		a.turnAway(c, event.Draining, "this server is going away; try again, another one may answer")
	case errors.Is(err, admission.ErrFull):
		a.turnAway(c, event.Overloaded, "there is no room for another subscription now, on this server or from this address; close some, or try again later")
	case errors.Is(err, hub.ErrFull):
		a.turnAway(c, event.Overloaded, "this server follows as many topics as it may; ask for one that others follow, or try again later")
	case errors.Is(err, source.ErrFull):
		a.turnAway(c, event.Overloaded, err.Error())
	case errors.Is(err, auth.ErrNoKeys):
		a.Log.Debug("a token cannot be verified", "error", err) // the key set itself warns, once for all requests
		a.turnAway(c, event.Unavailable, "the token cannot be verified now; try again later")
	case errors.Is(err, source.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		a.Log.Warn("request failed because redis is away", "error", err)
		a.turnAway(c, event.Unavailable, "Redis cannot be reached, or refused; try again later")
	default:
		a.Log.Error("request failed", "error", err)
		writeProblem(c, http.StatusInternalServerError, "the server failed; its log says why")
	}
}

// turnAway answers a request that cannot be served now. An EventSource gives up for
// good on any status but 200, so for one the refusal is a stream that ends at once.
func (a *api) turnAway(c *gin.Context, reason event.CloseReason, detail string) {
	a.Metrics.Rejected(reason)
	traceRejected(c, reason)
	a.Log.Debug("request rejected", "client", clientAddr(c), "reason", reason)
	if c.Request.Method == http.MethodGet && acceptsEventStream(c.Request) {
		streamHeader(c)
		c.Status(http.StatusOK)
		_, _ = c.Writer.Write(event.AppendClose(nil, reason, a.Delivery.LongRetry())) // to a client that is gone it need not be said
		c.Abort()
		return
	}
	seconds := a.Delivery.LongRetry().Seconds()
	c.Header("Retry-After", fmt.Sprint(int(seconds)+1+rand.IntN(3)))
	writeProblem(c, http.StatusServiceUnavailable, detail)
}

// acceptsEventStream reports whether the client names the media type; */* is what
// every other client sends.
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

// recover turns a panic into a 500 and a line in the log.
func (a *api) recover(c *gin.Context) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			a.Log.Error("handler panicked", "panic", p, "stack", string(debug.Stack()))
			if c.Writer.Written() {
				panic(http.ErrAbortHandler) // the client must not take the rest for whole
			}
			writeProblem(c, http.StatusInternalServerError, "the server failed; its log says why")
		}
	}()
	c.Next()
}
