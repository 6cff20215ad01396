package pubsub

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/internal/source/marker"
	"sluice/internal/test/redistest"
)

// lossy makes publishes fail after Redis has executed them.
type lossy struct {
	fails func(payload string) bool
}

func (lossy) DialHook(next redis.DialHook) redis.DialHook { return next }
func (lossy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (l lossy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if args := cmd.Args(); err == nil && args[0] == "publish" && l.fails(args[2].(string)) {
			err = errors.New("the reply was lost")
			cmd.SetErr(err)
		}
		return err
	}
}

// Redis may execute the failed publish later, after the next one.
func TestMarkerPublisher_NewIDAfterFailedPublish(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	observer := client.Subscribe(t.Context(), "markers")
	defer observer.Close()
	if _, err := observer.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	publishing := server.Client()
	publishing.AddHook(lossy{fails: func(payload string) bool {
		m, ok := marker.Parse(payload)
		return ok && m.Sequence == 3
	}})
	p := newMarkerPublisher(publishing, "markers")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.run(ctx) }()
	defer func() { cancel(); <-done }()
	nodes := make(map[string]bool)
	var before marker.Marker
	for n := range 7 {
		wake(p.now)
		message, err := observer.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m, ok := marker.Parse(message.Payload)
		if want := uint64(n%3 + 1); !ok || m.Sequence != want {
			t.Errorf("marker %d: got %q, want the sequence %d", n, message.Payload, want)
		}
		if same := m.Node == before.Node; same != (m.Sequence > 1) {
			t.Errorf("got %v after %v", m, before)
		}
		if m.Sequence == 1 && nodes[m.Node] {
			t.Errorf("got a repeated id in %v", m)
		}
		nodes[m.Node] = true
		before = m
	}
}
