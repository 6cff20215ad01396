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
	"sluice/internal/proctest"
	"sluice/internal/redistest"
	"sluice/internal/source"
	"sluice/internal/source/redis"
)

// longest bounds what these tests wait for: far more than it takes, on a busy machine.
const longest = 30 * time.Second

// someHistory is what the sources of these tests read of a stream's history.
var someHistory = source.Fill{Events: 100, Bytes: 1 << 20}

// note is one call of a sink.
type note struct {
	topic           event.Topic
	id, kind, value string // of an event
	gap             *source.Gap
}

func (n note) String() string {
	if n.gap != nil {
		return fmt.Sprintf("gap %s %d after %s", n.gap.Reason, n.gap.Lost, n.gap.At.ID)
	}
	return fmt.Sprintf("%s %s %s %.60q", n.topic, n.id, n.kind, n.value)
}

// witness is a sink that writes everything down and checks the order of its calls.
type witness struct {
	t testing.TB

	mu    sync.Mutex
	begun bool
	after event.StreamID
	notes []note
	moved chan struct{} // closed at the next call
}

func newWitness(t testing.TB) *witness {
	return &witness{t: t, moved: make(chan struct{})}
}

func (w *witness) Begin(at source.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun {
		w.t.Error("Begin is called twice")
	}
	w.begun, w.after = true, at.ID
}

func (w *witness) Event(e event.Event, at source.Position) {
	id := ""
	if !at.ID.IsZero() {
		id = at.ID.String()
	}
	w.add(note{topic: e.Topic, id: id, kind: e.Type, value: string(e.Data)})
}

func (w *witness) Gap(g source.Gap) {
	w.add(note{gap: &g})
}

func (w *witness) add(n note) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.begun {
		w.t.Errorf("%v comes before Begin", n)
	}
	w.notes = append(w.notes, n)
	close(w.moved)
	w.moved = make(chan struct{})
}

func (w *witness) all() []note {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.notes)
}

// until waits until what was written down is as wanted, and returns it.
func (w *witness) until(t testing.TB, what string, wanted func([]note) bool) []note {
	t.Helper()
	deadline := time.After(longest)
	for {
		w.mu.Lock()
		notes, moved := slices.Clone(w.notes), w.moved
		w.mu.Unlock()
		if wanted(notes) {
			return notes
		}
		select {
		case <-moved:
		case <-deadline:
			t.Fatalf("not in %s: %s; the sink saw %d calls, the last ones %v", longest, what, len(notes), notes[max(0, len(notes)-5):])
		}
	}
}

// count waits for n calls.
func (w *witness) count(t testing.TB, n int) []note {
	t.Helper()
	return w.until(t, fmt.Sprint(n, " calls"), func(notes []note) bool { return len(notes) >= n })
}

// last waits until the newest call is an event with that value.
func (w *witness) last(t testing.TB, value string) []note {
	t.Helper()
	return w.until(t, fmt.Sprintf("%.60q as the newest", value), func(notes []note) bool {
		return len(notes) > 0 && notes[len(notes)-1].gap == nil && notes[len(notes)-1].value == value
	})
}

// valuesOf returns what the events among notes carry.
func valuesOf(notes []note) []string {
	var out []string
	for _, n := range notes {
		if n.gap == nil {
			out = append(out, n.value)
		}
	}
	return out
}

// gapsOf returns the gaps among notes.
func gapsOf(notes []note) []source.Gap {
	var out []source.Gap
	for _, n := range notes {
		if n.gap != nil {
			out = append(out, *n.gap)
		}
	}
	return out
}

func checkValues(t testing.TB, who string, notes []note, want ...string) {
	t.Helper()
	if got := valuesOf(notes); !slices.Equal(got, want) {
		t.Errorf("%s: events are %.400q, want %.400q", who, got, want)
	}
	if gaps := gapsOf(notes); len(gaps) > 0 {
		t.Errorf("%s: gaps %v", who, gaps)
	}
}

// takeUp follows a topic with a new witness and waits until it is live.
func takeUp(t testing.TB, src source.Source, topic event.Topic) (*witness, source.Following) {
	t.Helper()
	w := newWitness(t)
	f := src.Follow(topic, w)
	awaitLive(t, f)
	return w, f
}

func awaitLive(t testing.TB, f source.Following) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
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
	ctx, cancel := context.WithTimeout(t.Context(), longest)
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

// ownNames returns a beginning of names that no other test uses.
func ownNames() string {
	return fmt.Sprintf("k%d:", rand.Uint64())
}

// counting returns the texts from first to last.
func counting(first, last int) []string {
	var out []string
	for n := first; n <= last; n++ {
		out = append(out, fmt.Sprint(n))
	}
	return out
}

// lines is a log that a test can read.
type lines struct{ proctest.Output }

// with returns the lines that hold a text.
func (l *lines) with(text string) []string {
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

func newLog(l *lines) *slog.Logger {
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

// soon waits until a condition holds that nothing announces.
func soon(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(longest); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", longest, what)
		}
	}
}
