package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/internal/test/gatewaytest"
	"sluice/internal/test/redistest"
	"sluice/internal/test/sseclient"
)

// runViewer is a client of a run.
type runViewer struct {
	name   string
	client sseclient.Client

	mu     sync.Mutex
	tokens []string
	ends   int
	other  []string // gaps
}

func newRunViewer(i int, targets ...string) *runViewer {
	return &runViewer{name: fmt.Sprint("viewer ", i), client: sseclient.Client{
		Target: func() string { return targets[rand.IntN(len(targets))] },
		HTTP:   &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Pause:  func() time.Duration { return 20 * time.Millisecond },
	}}
}

func (v *runViewer) take(e sseclient.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e.Type {
	case "":
		v.tokens = append(v.tokens, e.Data)
	case "stream.end":
		v.ends++
	case "stream.gap":
		v.other = append(v.other, e.Data)
	}
}

func (v *runViewer) received() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.tokens)
}

// run follows the run until the gateway says that it has ended.
func (v *runViewer) run(ctx context.Context) error {
	err := v.client.Run(ctx, v.take, nil)
	var refused *sseclient.RefusedError
	if errors.As(err, &refused) && refused.Status == http.StatusNoContent {
		return nil
	}
	return fmt.Errorf("%s: %w", v.name, errors.Join(err, ctx.Err()))
}

// writeRun writes tokens and the end of a run as a program does that knows nothing of gateways.
// It repeats a write that failed. The ids make sure that no token is written twice. The entry end
// is the end of the run.
func writeRun(ctx context.Context, client *goredis.Client, stream string, first, last, end, perSecond int, written *atomic.Int64) {
	for i := first; i <= last; i++ {
		values := []any{"data", fmt.Sprint(i)}
		if i == end {
			values = append(values, "event", "stream.end")
		}
		for ctx.Err() == nil {
			err := client.XAdd(ctx, &goredis.XAddArgs{Stream: stream, ID: fmt.Sprint(i, "-0"), Values: values}).Err()
			if err == nil || strings.Contains(err.Error(), "equal or smaller") {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		written.Store(int64(i))
		if perSecond > 0 {
			time.Sleep(time.Second / time.Duration(perSecond))
		}
	}
}

// A run is written while viewers of two gateways come, go and read slowly, its first producer is
// killed and another one continues, the gateways are killed and replaced, and Redis is restarted.
// Every viewer has all tokens in order, and then the end, once.
func TestRuns_SurviveFaults(t *testing.T) {
	t.Parallel()
	const tokens = 3000
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	gateways := []*gatewaytest.Gateway{startGateway(t, server.URL()), startGateway(t, server.URL())}
	var targets []string
	for _, g := range gateways {
		targets = append(targets, g.URL()+"/events?stream=run&from=start")
	}
	hurry := make(chan struct{})
	var viewers []*runViewer
	for i := range 10 {
		v := newRunViewer(i, targets...)
		switch {
		case i < 2: // stays
		case i == 2:
			v.client.Reader = sseclient.Slowly(20_000, hurry)
		default:
			v.client.Life = func() time.Duration { return time.Duration(rand.IntN(1500)) * time.Millisecond }
		}
		viewers = append(viewers, v)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ended := make(chan error, len(viewers))
	follow := func(some []*runViewer) {
		for _, v := range some {
			go func() { ended <- v.run(ctx) }()
		}
	}
	var written atomic.Int64
	awaitWritten := func(n int64) {
		t.Helper()
		await(t, fmt.Sprint(n, " tokens are written"), func() bool { return written.Load() >= n })
	}
	follow(viewers[:5])
	firstProducer, kill := context.WithCancel(ctx)
	go writeRun(firstProducer, server.Client(), "run", 1, tokens/3, tokens, 2000, &written)
	awaitWritten(tokens / 6)
	follow(viewers[5:])
	gateways[0].Kill()
	awaitWritten(tokens / 5)
	kill()
	last := int(written.Load())
	gateways[0].Restart()
	var second sync.WaitGroup
	second.Go(func() { writeRun(ctx, server.Client(), "run", last, tokens, tokens, 2000, &written) })
	awaitWritten(tokens / 2)
	server.Kill()
	server.Restart()
	awaitWritten(2 * tokens / 3)
	gateways[1].Kill()
	gateways[1].Restart()
	second.Wait()
	close(hurry)
	for range viewers {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	var want []string
	for i := 1; i < tokens; i++ {
		want = append(want, fmt.Sprint(i))
	}
	for _, v := range viewers {
		if !slices.Equal(v.tokens, want) || v.ends != 1 || len(v.other) > 0 {
			t.Errorf("%s: got %d tokens, in order: %v; %d ends, gaps %v", v.name, len(v.tokens), slices.IsSorted(v.tokens), v.ends, v.other)
		}
	}
}

// commands returns the number of commands that Redis executed for reads of streams.
func commands(t *testing.T, server *redistest.Server) (n int) {
	t.Helper()
	text, _ := server.Do("INFO", "commandstats").(string)
	for _, command := range []string{"xread", "xrange", "xrevrange", "xinfo|stream"} {
		if _, rest, found := strings.Cut(text, "cmdstat_"+command+":calls="); found {
			var calls int
			if _, err := fmt.Sscanf(rest, "%d", &calls); err != nil {
				t.Fatal(err)
			}
			n += calls
		}
	}
	return n
}

// The reads of Redis for a run do not grow with the number of its viewers: each token is read at most
// four times.
func TestRuns_ViewersShareTheReads(t *testing.T) {
	t.Parallel()
	const viewers, tokens, most = 50, 200, 4 * 100
	server := redistest.Start(t)
	g := startGateway(t, server.URL())
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	var written atomic.Int64
	writeRun(ctx, server.Client(), "run", 1, tokens/2, tokens, 0, &written)
	ended := make(chan error, viewers)
	var all []*runViewer
	for i := range viewers {
		v := newRunViewer(i, g.URL()+"/events?stream=run&from=start")
		all = append(all, v)
		go func() { ended <- v.run(ctx) }()
	}
	for _, v := range all {
		await(t, "every viewer has the first half", func() bool { return v.received() >= tokens/2 })
	}
	before := commands(t, server)
	writeRun(ctx, server.Client(), "run", tokens/2+1, tokens, tokens, 500, &written)
	for range viewers {
		if err := <-ended; err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
	if n := commands(t, server) - before; n > most {
		t.Errorf("Redis executes %d commands for %d viewers of %d tokens, want at most %d", n, viewers, tokens/2, most)
	}
}
