package faults_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/internal/audit"
	"sluice/internal/event"
	"sluice/internal/test/sseclient"
)

// progress is how far a subscriber has received a topic.
type progress struct {
	n    int64  // newest number
	id   string // id of its event
	gaps []gap  // gaps since then
}

// gap is a gap that a subscriber received.
type gap struct {
	fault  string // newest fault
	client string // first word of the subscriber's name
	kind   event.Kind
	reason string
	exact  bool // the gap has a count
	empty  bool // no number is missing
}

// gapLog counts gaps.
type gapLog struct {
	mu     sync.Mutex
	fault  string // newest fault
	counts map[gap]int
}

// begin records the start of a fault.
func (l *gapLog) begin(fault string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

func (l *gapLog) newest() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

func (l *gapLog) add(g gap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = make(map[gap]int)
	}
	l.counts[g]++
}

// String returns a line for each different gap.
func (l *gapLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for g, n := range l.counts {
		lines = append(lines, fmt.Sprintf("%-70s %-8s %-10s %-20s exact=%-5v empty=%-5v %d", g.fault, g.kind, g.client, g.reason, g.exact, g.empty, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// gap records a gap. mu must be held.
func (s *subscriber) gap(e sseclient.Event) {
	var g struct {
		Topic, Reason string
		Lost          *int64
	}
	if json.Unmarshal([]byte(e.Data), &g) != nil {
		return
	}
	topic, _ := event.ParseTopic(g.Topic)
	client, _, _ := strings.Cut(s.name, " ")
	p := s.topicProgress(g.Topic)
	p.gaps = append(p.gaps, gap{fault: s.rig.gapLog.newest(), client: strings.TrimSuffix(client, ","), kind: topic.Kind, reason: g.Reason, exact: g.Lost != nil})
}

// message records the number of an event, and a jump if it is not the next number. mu must be held.
func (s *subscriber) message(m audit.Message, id string) {
	p := s.topicProgress(m.Topic)
	for _, g := range p.gaps {
		g.empty = m.N == p.n+1
		s.rig.gapLog.add(g)
	}
	if p.n > 0 && m.N != p.n+1 && (!strings.HasPrefix(m.Topic, "key:") || m.N <= p.n) {
		s.jumped = append(s.jumped, fmt.Sprintf("%s after %q: %s from %d (%s) to %d (%s), gaps %v",
			time.Now().Format(time.StampMilli), s.rig.gapLog.newest(), m.Topic, p.n, p.id, m.N, id, p.gaps))
	}
	p.n, p.id, p.gaps = m.N, id, nil
}

func (s *subscriber) topicProgress(topic string) *progress {
	if s.received[topic] == nil {
		s.received[topic] = new(progress)
	}
	return s.received[topic]
}

// mostJumps bounds the jumps that are reported per subscriber.
const mostJumps = 100

// jumps returns the newest jumps, one per line.
func (s *subscriber) jumps() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.jumped[max(len(s.jumped)-mostJumps, 0):], "\n")
}

func (g gap) String() string {
	return fmt.Sprintf("%s (%s)", g.reason, cmp.Or(g.fault, "no fault yet"))
}
