package httpapi

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// countingBroker counts how often it is asked whether it is ready.
type countingBroker struct {
	Broker
	asked int
	err   error
}

func (b *countingBroker) Ready(ctx context.Context) error {
	b.asked++
	return errors.Join(b.err, ctx.Err())
}

func TestReadiness_OneAnswerIsForAllWhoAskMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := new(countingBroker)
		var log bytes.Buffer
		r := &readiness{broker: broker, log: slog.New(slog.NewTextHandler(&log, nil))}
		gone, leave := context.WithCancel(t.Context()) // who asks first may have left since
		leave()
		for i, err := range []error{nil, errors.New("away"), errors.New("away"), nil} {
			broker.err = err
			for range 100 {
				if got, want := r.now(gone), err == nil; got != want {
					t.Fatalf("ready is %v, want %v", got, want)
				}
			}
			if broker.asked != i+1 {
				t.Fatalf("the broker is asked %d times, want %d", broker.asked, i+1)
			}
			time.Sleep(2 * readinessAge)
		}
		if n := strings.Count(log.String(), "away"); n != 1 {
			t.Errorf("the log says %d times why: %s", n, log.String())
		}
	})
}
