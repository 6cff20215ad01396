package redis_test

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/redistest"
	"sluice/internal/source"
	"sluice/internal/source/redis"
)

func TestMain(m *testing.M) {
	redis.SetLog(slog.New(slog.DiscardHandler))
	os.Exit(redistest.Run(m))
}

// patience bounds what a test waits for: far more than it takes, on a busy machine.
const patience = 30 * time.Second

// seen is one call of a sink: an event with its data, or a gap.
type seen struct {
	topic  event.Topic
	data   string
	reason event.GapReason
	lost   int64
}

// recorder is a sink that remembers.
type recorder struct {
	mu   sync.Mutex
	all  []seen
	more chan struct{} // closed at the next call

	begun int
	early bool // something came before Begin
}

func newRecorder() *recorder {
	return &recorder{more: make(chan struct{})}
}

func (r *recorder) Event(e event.Event, _ source.Position) {
	r.add(seen{topic: e.Topic, data: string(e.Data)})
}

func (r *recorder) Gap(g source.Gap) {
	r.add(seen{reason: g.Reason, lost: g.Lost})
}

func (r *recorder) Begin(source.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun++
	r.early = r.early || len(r.all) > 0
}

// checkBegun checks that the topic was begun once, before anything else.
func (r *recorder) checkBegun(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun != 1 || r.early {
		t.Errorf("Begin was called %d times, behind other calls: %v", r.begun, r.early)
	}
}

func (r *recorder) add(s seen) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, s)
	close(r.more)
	r.more = make(chan struct{})
}

func (r *recorder) calls() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// await waits for n calls and returns all that there are.
func (r *recorder) await(t *testing.T, n int) []seen {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		all, more := slices.Clone(r.all), r.more
		r.mu.Unlock()
		if len(all) >= n {
			return all
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("the sink saw %d calls, want %d: %.300v", len(all), n, all)
		}
	}
}

// data returns the data of all events.
func (r *recorder) data() []string {
	var out []string
	for _, s := range r.calls() {
		if s.reason == "" {
			out = append(out, s.data)
		}
	}
	return out
}

// gaps returns how many gaps there were.
func (r *recorder) gaps() int {
	n := 0
	for _, s := range r.calls() {
		if s.reason != "" {
			n++
		}
	}
	return n
}

// eventually waits until the condition holds, for what nothing announces.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

func topicOf(t *testing.T, text string) event.Topic {
	t.Helper()
	topic, err := event.ParseTopic(text)
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

// channelNamed returns the topic of exactly that channel.
func channelNamed(name string) event.Topic {
	return event.Literal(event.Channel, name)
}

// follow follows a topic and waits until it is live.
func follow(t *testing.T, src source.Source, topic event.Topic) (*recorder, source.Following) {
	t.Helper()
	r := newRecorder()
	f := src.Follow(topic, r)
	live(t, f)
	r.checkBegun(t)
	return r, f
}

func live(t *testing.T, f source.Following) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := f.Live(ctx); err != nil {
		t.Fatalf("Live: %v", err)
	}
}

func publish(t *testing.T, src source.Source, name, data string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := src.Publish(ctx, channelNamed(name), text(data)); err != nil {
		t.Errorf("Publish: %v", err)
	}
}

func text(data string) source.Message {
	return source.Message{Data: []byte(data)}
}

// published reports whether a publish went through.
func published(t *testing.T, src source.Source, name, data string) bool {
	t.Helper()
	_, err := src.Publish(t.Context(), channelNamed(name), text(data))
	return err == nil
}
