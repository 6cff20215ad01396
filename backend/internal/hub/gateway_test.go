package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

// longest bounds what these tests wait for: far more than it takes, on a busy machine.
const longest = 30 * time.Second

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) EventReceived(event.Kind)     {}
func (noMetrics) GapAnnounced(event.GapReason) {}
func (noMetrics) ReplayRead()                  {}

// gateway is a hub with its source, as one process has them.
type gateway struct {
	*hub.Hub
	source source.Source
}

// history bounds a journal by its events.
func history(n int) journal.Limits {
	return journal.Limits{Events: n, Bytes: 1 << 30}
}

func gatewayOver(t testing.TB, src source.Source, limits journal.Limits) gateway {
	t.Helper()
	h := hub.New(src, hub.Options{Node: "n", History: limits, Linger: time.Hour}, noMetrics{})
	t.Cleanup(func() {
		h.Close()
		_ = src.Close()
	})
	return gateway{h, src}
}

// redisGateway returns a gateway on a server, with a source of its own.
func redisGateway(t testing.TB, server *redistest.Server, limits journal.Limits) gateway {
	t.Helper()
	return gatewayOver(t, redisSource(t, server, limits), limits)
}

func redisSource(t testing.TB, server *redistest.Server, limits journal.Limits) *redis.Source {
	t.Helper()
	return sourceAt(t, server.URL(), limits)
}

func sourceAt(t testing.TB, url string, limits journal.Limits) *redis.Source {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	fill := source.Fill{Events: limits.Events, Bytes: limits.Bytes}
	return redis.Open(options, fmt.Sprintf("node%d", rand.Uint32()), fill, slog.New(slog.DiscardHandler))
}

// settle waits until everything that was published to channels so far, and to the other
// topics that are named, has arrived.
func (g gateway) settle(t testing.TB, others ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	if err := g.Sync(ctx, listOf(t, others...)...); err != nil {
		t.Fatal(err)
	}
}

func listOf(t testing.TB, texts ...string) []event.Topic {
	t.Helper()
	var list []event.Topic
	for _, text := range texts {
		topic, err := event.ParseTopic(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, topic)
	}
	return list
}

// entryID returns the id of the entry in a cursor of a stream.
func entryID(cursor string) string {
	id, _, _ := strings.Cut(cursor, ".")
	return id
}

// block is one frame as a client reads it.
type block struct {
	id, kind, data string
}

func (b block) isGap() bool { return b.kind == "stream.gap" }

// origin returns the topic that the id names.
func (b block) origin() string {
	topic, _ := event.SplitID(b.id)
	return topic.String()
}

type gapText struct {
	Topic  string          `json:"topic"`
	Reason event.GapReason `json:"reason"`
	Lost   *int64          `json:"lost"`
}

func (b block) gap(t testing.TB) gapText {
	t.Helper()
	var g gapText
	if err := json.Unmarshal([]byte(b.data), &g); err != nil {
		t.Fatalf("%+v: %v", b, err)
	}
	return g
}

func (g gapText) String() string {
	if g.Lost == nil {
		return fmt.Sprintf("%s %s null", g.Topic, g.Reason)
	}
	return fmt.Sprintf("%s %s %d", g.Topic, g.Reason, *g.Lost)
}

// blocksOf reads frames; each must have a printable id, and nothing that is no field.
func blocksOf(t testing.TB, stream []byte) []block {
	t.Helper()
	if len(stream) > 0 && !strings.HasSuffix(string(stream), "\n\n") {
		t.Errorf("a batch ends within a frame: %.200q", stream)
	}
	var out []block
	for text := range strings.SplitSeq(strings.TrimSuffix(string(stream), "\n\n"), "\n\n") {
		if text == "" {
			continue
		}
		var b block
		var data []string
		for line := range strings.SplitSeq(text, "\n") {
			field, value, _ := strings.Cut(line, ": ")
			switch field {
			case "id":
				b.id = value
			case "event":
				b.kind = value
			case "data":
				data = append(data, value)
			default:
				t.Fatalf("a line %.100q in the frame %.200q", line, text)
			}
		}
		if b.id == "" || strings.ContainsFunc(b.id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Errorf("no good id in the frame %.200q", text)
		}
		b.data = strings.Join(data, "\n")
		out = append(out, b)
	}
	return out
}

// seat is one connection and what it was given.
type seat struct {
	t       testing.TB
	sub     *hub.Subscription
	wake    nudge
	opened  block
	resumed bool
	got     []block // behind stream.open
	largest int     // size of the largest batch
}

type nudge chan struct{}

func (n nudge) Wake() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// take subscribes and reads stream.open.
func (g gateway) take(t testing.TB, req hub.Request) *seat {
	t.Helper()
	s, err := g.tryTake(t, req)
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	return s
}

// tryTake is take that may fail.
func (g gateway) tryTake(t testing.TB, req hub.Request) (*seat, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	sub, err := g.Subscribe(ctx, req)
	if err != nil {
		return nil, err
	}
	s := &seat{t: t, sub: sub, wake: make(nudge, 1)}
	hub.Watch(sub.Reader(), s.wake)
	s.next()
	if len(s.got) == 0 || s.got[0].kind != "stream.open" {
		t.Fatalf("a subscription begins with %v", s.got)
	}
	s.opened, s.got = s.got[0], s.got[1:]
	var open struct {
		Resumed bool `json:"resumed"`
	}
	if err := json.Unmarshal([]byte(s.opened.data), &open); err != nil {
		t.Fatal(err)
	}
	s.resumed = open.Resumed
	return s, nil
}

func (s *seat) leave() {
	hub.Unwatch(s.sub.Reader(), s.wake)
	s.sub.Close()
}

// next reads one batch, and reports whether there was one.
func (s *seat) next() bool {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	b, err := s.sub.Next(ctx)
	if err != nil {
		s.t.Fatalf("Next: %v", err)
	}
	s.got = append(s.got, blocksOf(s.t, b.Bytes)...)
	s.largest = max(s.largest, len(b.Bytes))
	return len(b.Bytes) > 0
}

// drain reads what there is now.
func (s *seat) drain() {
	s.t.Helper()
	for s.next() {
	}
}

// until reads until what came is as wanted.
func (s *seat) until(what string, wanted func() bool) {
	s.t.Helper()
	deadline := time.After(longest)
	for !wanted() {
		if s.next() {
			continue
		}
		select {
		case <-s.wake:
		case <-deadline:
			s.t.Fatalf("not in %s: %s; the last of %d: %v", longest, what, len(s.got), s.got[max(0, len(s.got)-5):])
		}
	}
}

// untilData reads until an event has that data.
func (s *seat) untilData(data string) {
	s.t.Helper()
	seen := 0
	s.until(fmt.Sprintf("%.60q", data), func() bool {
		for ; seen < len(s.got); seen++ {
			if !s.got[seen].isGap() && s.got[seen].data == data {
				return true
			}
		}
		return false
	})
}

func (s *seat) data() []string {
	var out []string
	for _, b := range s.got {
		if !b.isGap() {
			out = append(out, b.data)
		}
	}
	return out
}

func (s *seat) gaps() []string {
	s.t.Helper()
	var out []string
	for _, b := range s.got {
		if b.isGap() {
			out = append(out, b.gap(s.t).String())
		}
	}
	return out
}

// lastID is what an EventSource would send.
func (s *seat) lastID() string {
	if len(s.got) == 0 {
		return s.opened.id
	}
	return s.got[len(s.got)-1].id
}

func (s *seat) expect(what string, data, gaps []string) {
	s.t.Helper()
	if got := s.data(); !slices.Equal(got, data) {
		s.t.Errorf("%s: events are %.500q, want %.500q", what, got, data)
	}
	if got := s.gaps(); !slices.Equal(got, gaps) {
		s.t.Errorf("%s: gaps are %q, want %q", what, got, gaps)
	}
}

func (s *seat) expectResumed(what string, want bool) {
	s.t.Helper()
	if s.resumed != want {
		s.t.Errorf("%s: resumed is %v", what, s.resumed)
	}
}

// series returns the texts from first to last.
func series(first, last int) []string {
	var out []string
	for n := first; n <= last; n++ {
		out = append(out, fmt.Sprint(n))
	}
	return out
}

// put publishes texts through a source and returns the ids.
func put(t testing.TB, src source.Source, topic string, texts ...string) []string {
	t.Helper()
	var ids []string
	for _, text := range texts {
		id, err := src.Publish(t.Context(), listOf(t, topic)[0], source.Message{Data: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id.String())
	}
	return ids
}

// reads returns how often a server ran commands.
func reads(t testing.TB, server *redistest.Server, commands ...string) int {
	t.Helper()
	text, _ := server.Do("INFO", "commandstats").(string)
	total := 0
	for _, command := range commands {
		_, rest, found := strings.Cut(text, "cmdstat_"+command+":calls=")
		var n int
		if found {
			if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
				t.Fatal(err)
			}
		}
		total += n
	}
	return total
}

// ranges is a source that watches the reads of streams.
type ranges struct {
	source.Source
	before func() // each read, if not nil

	mu      sync.Mutex
	all     []source.Range
	now     int
	mostNow int
}

// count returns the number of reads.
func (r *ranges) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

func (r *ranges) Range(ctx context.Context, topic event.Topic, q source.Range) (source.Page, error) {
	r.mu.Lock()
	r.all = append(r.all, q)
	r.now++
	r.mostNow = max(r.mostNow, r.now)
	r.mu.Unlock()
	if r.before != nil {
		r.before()
	}
	defer func() {
		r.mu.Lock()
		r.now--
		r.mu.Unlock()
	}()
	return r.Source.Range(ctx, topic, q)
}
