package httpapi

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"sluice/internal/delivery"
	"sluice/internal/event"
)

// detailKey is the key of a problem's detail in the context of its request.
const detailKey = "detail"

// logRefusal logs each 4xx response at debug level. It does not log the query, which may hold
// a token.
func (a *api) logRefusal(c *gin.Context) {
	c.Next()
	if status := c.Writer.Status(); status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		a.Log.Debug("request refused", "client", clientAddr(c), "method", c.Request.Method, "path", c.Request.URL.Path,
			"status", status, "detail", c.GetString(detailKey))
	}
}

// logPublished logs a successful publish at debug level: a single event with its id, if it has
// one, or the number of events of a batch.
func (a *api) logPublished(c *gin.Context, topic event.Topic, bytes int, answer gin.H) {
	if !a.Log.Enabled(c.Request.Context(), slog.LevelDebug) {
		return
	}
	args := []any{"client", clientAddr(c), "topic", topic.String(), "bytes", bytes, "status", http.StatusOK}
	for _, key := range []string{"id", "published"} {
		if value, ok := answer[key]; ok {
			args = append(args, key, value)
		}
	}
	a.Log.Debug("published", args...)
}

// logUnsubscribed logs the end of a subscription.
func (a *api) logUnsubscribed(id uint64, addr netip.Addr, duration time.Duration, end *delivery.End, total int64) {
	args := []any{"id", id, "client", addr, "duration", duration.Round(time.Millisecond), "reason", end.Reason, "total", total}
	if end.Err != nil {
		args = append(args, "error", end.Err)
	}
	a.Log.Info("unsubscribed", args...)
}

// serverLog writes the messages of net/http, most of which are about faulty clients, to a log.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(message []byte) (int, error) {
	l.log.Info("http server", "error", strings.TrimSpace(string(message)))
	return len(message), nil
}
