package hub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/memory"
)

// runModel is what was published to some streams.
type runModel struct {
	t      *testing.T
	broker *memory.Broker
	hubs   []*hub.Hub
	tokens map[string][]string // by topic, up to the first end
	ended  map[string]bool
	count  int
	rand   *rand.Rand
}

func (m *runModel) publish(topic event.Topic, eventType string) {
	m.count++
	data := fmt.Sprint("t", m.count)
	if _, err := m.broker.Publish(m.t.Context(), topic, source.Message{Type: eventType, Data: []byte(data)}); err != nil {
		m.t.Fatal(err)
	}
	name := topic.String()
	switch {
	case topic.Kind != event.Stream || m.ended[name]:
	case eventType == event.StreamEnd:
		m.ended[name] = true
	default:
		m.tokens[name] = append(m.tokens[name], data)
	}
}

// finished reports whether all topics have ended.
func (m *runModel) finished(topics []event.Topic) bool {
	return !slices.ContainsFunc(topics, func(t event.Topic) bool { return !m.ended[t.String()] })
}

// viewer is a client that follows topics from their start, over several connections.
type viewer struct {
	m      *runModel
	topics []event.Topic
	every  time.Duration
	bare   bool // it resumes with the id of an entry
	sub    *hub.Subscription
	id     string
	got    map[string][]string // by topic
	ended  map[string]int      // ends received, by topic
	lost   map[string]bool     // a gap was announced before the end, by topic
}

func (v *viewer) connect() (finished bool) {
	req := hub.Request{Topics: v.topics, Start: true, Every: v.every}
	if v.id != "" {
		id := v.id
		if v.bare && len(v.topics) == 1 && !strings.Contains(id, ".0-b") { // which is not the id of an entry
			end := strings.HasSuffix(id, ".end")
			id, _, _ = strings.Cut(id, ".")
			if end { // without it, entries after the end would follow
				id += ".end"
			}
		}
		req.IDs = []string{id}
	}
	sub, err := v.m.hubs[v.m.rand.IntN(len(v.m.hubs))].Subscribe(v.m.t.Context(), req)
	if errors.Is(err, hub.ErrFinished) {
		return true
	}
	if err != nil {
		v.m.t.Fatal(err)
	}
	v.sub = sub
	return false
}

// read reads up to a number of batches. It reports whether the connection ended.
func (v *viewer) read(batches int) (ended bool) {
	for range batches {
		b, err := v.sub.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			v.m.t.Fatal(err)
		}
		for block := range strings.SplitSeq(string(b.Bytes), "\n\n") {
			v.receive(block)
		}
		if len(b.Bytes) == 0 && b.AtHead {
			return false
		}
	}
	return false
}

func (v *viewer) receive(block string) {
	var id, kind, data string
	for line := range strings.SplitSeq(block, "\n") {
		switch field, value, _ := strings.Cut(line, ": "); field {
		case "id":
			id = value
		case "event":
			kind = value
		case "data":
			data = value
		}
	}
	if block == "" {
		return
	}
	v.id = id
	topic := v.topics[0].String()
	if name, _, several := strings.Cut(id, "@"); several {
		topic = name
	}
	switch kind {
	case "stream.gap":
		switch {
		case strings.HasPrefix(topic, "channel:"): // an embedded broker has no markers
		case v.every > 0 && strings.Contains(data, `"slow-consumer","lost":1`): // the held event left the journal
			v.lost[topic] = true
		default:
			v.m.t.Errorf("a viewer that has everything receives %q", block)
		}
	case "stream.open":
	case event.StreamEnd:
		v.ended[topic]++
	case "":
		if v.ended[topic] > 0 {
			v.m.t.Errorf("%s is delivered after the end of %s", data, topic)
		}
		v.got[topic] = append(v.got[topic], data)
	default:
		v.m.t.Errorf("a viewer that has everything receives %q", block)
	}
}

func (v *viewer) drop() {
	v.sub.Close()
	v.sub = nil
}

// check checks that the viewer has everything.
func (v *viewer) check() {
	for _, t := range v.topics {
		name := t.String()
		if t.Kind != event.Stream {
			continue
		}
		want, got := v.m.tokens[name], v.got[name]
		if v.every > 0 { // conflated: in order, with the newest one
			next := 0
			for _, data := range got {
				i := slices.Index(want[next:], data)
				if i < 0 {
					v.m.t.Fatalf("%s: conflated viewer got %v of %v", name, got, want)
				}
				next += i + 1
			}
			if next != len(want) && !v.lost[name] {
				v.m.t.Fatalf("%s: conflated viewer got %v, and not the newest of %v", name, got, want)
			}
		} else if !slices.Equal(got, want) {
			v.m.t.Fatalf("%s: got %v, want %v", name, got, want)
		}
		if v.ended[name] != 1 {
			v.m.t.Fatalf("%s: ended %d times", name, v.ended[name])
		}
	}
}

// Viewers join and leave at random, on two nodes, while runs are written, end at random
// positions, and are sometimes continued. Each viewer receives every token once, and then the
// end once.
func TestRuns_MatchTheModel(t *testing.T) {
	t.Parallel()
	for round := range 300 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(round), 1))
			broker := memory.New(source.Fill{Events: rnd.IntN(8), Bytes: 1 << 20})
			m := &runModel{t: t, broker: broker, tokens: map[string][]string{}, ended: map[string]bool{}, rand: rnd}
			for range 2 {
				limits := journal.Limits{Events: 1 + rnd.IntN(20), Bytes: 1 << 20}
				h := hub.New(broker, hub.Options{Node: "n", History: limits, Linger: time.Duration(rnd.IntN(2)) * time.Minute}, noMetrics{})
				defer h.Close()
				m.hubs = append(m.hubs, h)
			}
			a, b, c := event.Literal(event.Stream, "a"), event.Literal(event.Stream, "b"), event.Literal(event.Channel, "c")
			var viewers []*viewer
			for _, topics := range [][]event.Topic{{a}, {b}, {a, b}, {b, a}, {a, c}, {a}} {
				v := &viewer{m: m, topics: topics, bare: rnd.IntN(2) == 0, got: map[string][]string{}, ended: map[string]int{}, lost: map[string]bool{}}
				if rnd.IntN(4) == 0 {
					v.every = time.Minute
				}
				viewers = append(viewers, v)
			}
			topics := []event.Topic{a, b, c}
			for range 60 {
				topic := topics[rnd.IntN(3)]
				switch rnd.IntN(3) {
				case 0:
					eventType := ""
					if topic.Kind == event.Stream && rnd.IntN(15) == 0 {
						eventType = event.StreamEnd
					}
					if !m.ended[topic.String()] || rnd.IntN(4) == 0 {
						m.publish(topic, eventType)
					}
				default:
					v := viewers[rnd.IntN(len(viewers))]
					switch {
					case v.every > 0 && v.sub != nil: // an event that is held would be lost with the connection
						v.read(rnd.IntN(4))
					case v.sub == nil:
						v.connectUnlessFinished()
					case rnd.IntN(3) == 0:
						v.drop()
					default:
						if v.read(rnd.IntN(4)) {
							v.drop()
						}
					}
				}
			}
			for _, topic := range topics[:2] {
				if !m.ended[topic.String()] {
					m.publish(topic, event.StreamEnd)
				}
			}
			for _, v := range viewers {
				v.finish()
				v.check()
			}
		})
	}
}

// connectUnlessFinished connects, and checks that only a client that has everything is told that
// nothing follows.
func (v *viewer) connectUnlessFinished() {
	if v.connect() && (!v.m.finished(v.topics) || len(v.ended) < len(v.topics)) {
		v.m.t.Fatalf("%v is finished after %s, with the ends %v", v.topics, v.id, v.ended)
	}
}

// finish reads until the end of all streams.
func (v *viewer) finish() {
	for range 100 {
		if v.sub == nil {
			if v.connect() {
				break
			}
			continue
		}
		if v.read(1000) {
			v.drop()
		} else if slices.ContainsFunc(v.topics, func(t event.Topic) bool { return t.Kind == event.Channel }) {
			break // a channel has no end
		}
	}
	if v.sub != nil {
		v.drop()
	}
}
