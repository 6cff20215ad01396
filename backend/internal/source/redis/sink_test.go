package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/proctest"
	"sluice/internal/test/redistest"
)

// testTimeout bounds every wait of these tests.
const testTimeout = time.Minute

// someHistory bounds the history that sources of these tests read.
var someHistory = source.Fill{Events: 100, Bytes: 1 << 20}

// call is one call of a sink.
type call struct {
	topic               event.Topic
	id, eventType, data string // of an event
	gap                 *source.Gap
}

func (c call) String() string {
	if c.gap != nil {
		return fmt.Sprintf("gap %s %d after %s", c.gap.Reason, c.gap.Lost, c.gap.At.ID)
	}
	return fmt.Sprintf("%s %s %s %.60q", c.topic, c.id, c.eventType, c.data)
}

// isInterruption reports whether the call is a gap of an interrupted connection.
func (c call) isInterruption() bool {
	return c.gap != nil && c.gap.Reason == event.SourceInterrupted && c.gap.Lost == event.LostUnknown
}

// recordingSink is a sink that records its calls and checks their order.
type recordingSink struct {
	t testing.TB

	mu    sync.Mutex
	begun bool
	after event.StreamID
	calls []call
	moved chan struct{} // closed at the next call
}

func newRecordingSink(t testing.TB) *recordingSink {
	return &recordingSink{t: t, moved: make(chan struct{})}
}

func (s *recordingSink) Begin(at source.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun {
		s.t.Error("Begin is called twice")
	}
	s.begun, s.after = true, at.ID
}

func (s *recordingSink) Event(e event.Event, at source.Position) {
	id := ""
	if !at.ID.IsZero() {
		id = at.ID.String()
	}
	s.add(call{topic: e.Topic, id: id, eventType: e.Type, data: string(e.Data)})
}

func (s *recordingSink) Gap(g source.Gap) {
	s.add(call{gap: &g})
}

func (s *recordingSink) add(c call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.t.Errorf("got %v before Begin", c)
	}
	s.calls = append(s.calls, c)
	close(s.moved)
	s.moved = make(chan struct{})
}

func (s *recordingSink) all() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// await waits until a condition on the recorded calls is met, and returns the calls.
func (s *recordingSink) await(t testing.TB, what string, wanted func([]call) bool) []call {
	t.Helper()
	deadline := time.After(testTimeout)
	for {
		s.mu.Lock()
		calls, moved := slices.Clone(s.calls), s.moved
		s.mu.Unlock()
		if wanted(calls) {
			return calls
		}
		select {
		case <-moved:
		case <-deadline:
			t.Fatalf("timeout after %s: %s; got %d calls, the last are %v", testTimeout, what, len(calls), calls[max(0, len(calls)-5):])
		}
	}
}

// count waits for n calls.
func (s *recordingSink) count(t testing.TB, n int) []call {
	t.Helper()
	return s.await(t, fmt.Sprint(n, " calls"), func(calls []call) bool { return len(calls) >= n })
}

// last waits until the newest call is an event with the given data.
func (s *recordingSink) last(t testing.TB, value string) []call {
	t.Helper()
	return s.await(t, fmt.Sprintf("%.60q as the newest", value), func(calls []call) bool {
		return len(calls) > 0 && calls[len(calls)-1].gap == nil && calls[len(calls)-1].data == value
	})
}

// eventData returns the data of the events among calls.
func eventData(calls []call) []string {
	var out []string
	for _, c := range calls {
		if c.gap == nil {
			out = append(out, c.data)
		}
	}
	return out
}

// gapsIn returns the gaps among calls.
func gapsIn(calls []call) []source.Gap {
	var out []source.Gap
	for _, c := range calls {
		if c.gap != nil {
			out = append(out, *c.gap)
		}
	}
	return out
}

func checkValues(t testing.TB, who string, calls []call, want ...string) {
	t.Helper()
	if got := eventData(calls); !slices.Equal(got, want) {
		t.Errorf("%s: got events %.400q, want %.400q", who, got, want)
	}
	if gaps := gapsIn(calls); len(gaps) > 0 {
		t.Errorf("%s: got gaps %v", who, gaps)
	}
}

// follow follows a topic with a new sink and waits until it is live.
func follow(t testing.TB, src source.Source, topic event.Topic) (*recordingSink, source.Following) {
	t.Helper()
	w := newRecordingSink(t)
	f := src.Follow(topic, w)
	awaitLive(t, f)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.begun {
		t.Errorf("%s: Live returned before Begin", topic)
	}
	return w, f
}

func awaitLive(t testing.TB, f source.Following) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if err := f.Live(ctx); err != nil {
		t.Fatalf("Live: %v", err)
	}
}

// publisher is a source, or a [redis.Publisher].
type publisher interface {
	Publish(ctx context.Context, topic event.Topic, m source.Message) (event.StreamID, error)
}

// write publishes through a source.
func write(t testing.TB, src publisher, topic event.Topic, m source.Message) event.StreamID {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	id, err := src.Publish(ctx, topic, m)
	if err != nil {
		t.Fatalf("Publish to %s: %v", topic, err)
	}
	return id
}

func writeText(t testing.TB, src source.Source, topic event.Topic, texts ...string) {
	t.Helper()
	for _, text := range texts {
		write(t, src, topic, source.Message{Data: []byte(text)})
	}
}

func streamNamed(name string) event.Topic {
	return event.Literal(event.Stream, name)
}

func keyNamed(name string) event.Topic {
	return event.Literal(event.Key, name)
}

// uniquePrefix returns a prefix of names that no other test uses.
func uniquePrefix() string {
	return fmt.Sprintf("k%d:", rand.Uint64())
}

// numbers returns the decimal numbers from first to last.
func numbers(first, last int) []string {
	var out []string
	for n := first; n <= last; n++ {
		out = append(out, fmt.Sprint(n))
	}
	return out
}

// logLines is a log that a test can read.
type logLines struct{ proctest.Output }

// with returns the lines that contain a text.
func (l *logLines) with(text string) []string {
	var out []string
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}

// connect opens a source of a server.
func connect(t testing.TB, server interface{ URL() string }, log *slog.Logger) *redis.Source {
	t.Helper()
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	src := redis.Open(options, fmt.Sprintf("node%d", rand.Uint32()), someHistory, log)
	t.Cleanup(func() { _ = src.Close() }) // a test may have closed it
	return src
}

var quiet = slog.New(slog.DiscardHandler)

func newLog(l *logLines) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, nil))
}

// commandCalls returns how often the server ran a command.
func commandCalls(t testing.TB, server *redistest.Server, command string) int {
	t.Helper()
	text, _ := server.Do("INFO", "commandstats").(string)
	_, rest, found := strings.Cut(text, "cmdstat_"+command+":calls=")
	if !found {
		return 0
	}
	var n int
	if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// commandMicroseconds returns the time that the server spent in a command.
func commandMicroseconds(t testing.TB, server *redistest.Server, command string) float64 {
	t.Helper()
	text, _ := server.Do("INFO", "commandstats").(string)
	_, rest, found := strings.Cut(text, "cmdstat_"+command+":calls=")
	if !found {
		return 0
	}
	var calls int
	var spent float64
	if _, err := fmt.Sscanf(rest, "%d,usec=%g", &calls, &spent); err != nil {
		t.Fatal(err)
	}
	return spent
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timeout after %s: %s", testTimeout, what)
		}
	}
}
