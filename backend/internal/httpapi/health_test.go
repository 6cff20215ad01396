package httpapi

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"sluice/internal/delivery"
	"sluice/internal/source"
)

// countingBroker counts the calls of Ready.
type countingBroker struct {
	source.Source
	asked    int
	unserved string
	err      error
}

func (b *countingBroker) Ready(ctx context.Context) (string, error) {
	b.asked++
	return b.unserved, errors.Join(b.err, ctx.Err())
}

func TestReadiness_ConcurrentRequestsShareCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := new(countingBroker)
		var log bytes.Buffer
		r := &readiness{broker: broker, log: slog.New(slog.NewTextHandler(&log, nil))}
		gone, leave := context.WithCancel(t.Context()) // the first client may have disconnected
		leave()
		for i, err := range []error{nil, errors.New("unavailable"), errors.New("unavailable"), nil} {
			broker.err = err
			for range 100 {
				if got, _ := r.now(gone); got != (err == nil) {
					t.Fatalf("got ready %v, want %v", got, err == nil)
				}
			}
			if broker.asked != i+1 {
				t.Fatalf("got %d calls of Ready, want %d", broker.asked, i+1)
			}
			time.Sleep(2 * readinessAge)
		}
		if n := strings.Count(log.String(), "unavailable"); n != 1 {
			t.Errorf("got %d log lines with the reason: %s", n, log.String())
		}
	})
}

func TestReadyz_ListsUnservedSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := new(countingBroker)
		log := new(bytes.Buffer)
		a := &api{
			Options:   Options{Delivery: new(delivery.Server)},
			readiness: &readiness{broker: broker, log: slog.New(slog.NewTextHandler(log, nil))},
		}
		for _, tt := range []struct {
			unserved string
			want     string
		}{
			{"", "ok\n"},
			{"0-5460,10923", "ok\nslots not served: 0-5460,10923\n"},
			{"", "ok\n"},
		} {
			broker.unserved = tt.unserved
			answer := httptest.NewRecorder()
			c, _ := gin.CreateTestContext(answer)
			c.Request = httptest.NewRequest(http.MethodGet, "/readyz", nil)
			a.ready(c)
			if answer.Code != http.StatusOK || answer.Body.String() != tt.want {
				t.Errorf("got %d %q, want 200 %q", answer.Code, answer.Body, tt.want)
			}
			time.Sleep(2 * readinessAge)
		}
		for _, line := range []string{"served in part", "served as a whole"} {
			if n := strings.Count(log.String(), line); n != 1 {
				t.Errorf("got %q %d times in the log:\n%s", line, n, log)
			}
		}
	})
}
