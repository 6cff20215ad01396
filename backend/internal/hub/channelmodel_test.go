package hub

import (
	"math/rand/v2"
	"testing"

	"sluice/internal/event"
	"sluice/internal/journal"
	"sluice/internal/source"
	"sluice/internal/source/marker"
)

// This model has several nodes that follow one channel. Each receives the same markers and messages
// in the same order, at a different speed and with different interruptions.

// modelItem is a marker, or a message if the marker is zero.
type modelItem struct {
	marker  marker.Marker
	message int // number of messages up to here
}

// modelFrame is a frame of a node's journal.
type modelFrame struct {
	number  uint64
	message int // 0 for a gap
}

type modelNode struct {
	topicLog *topicLog
	log      *marker.Log
	view     *marker.View // nil while the topic is interrupted
	received int          // number of items
	messages int          // number of messages among them
	frames   []modelFrame
}

func newModelNode(events int) *modelNode {
	h := New(nil, Options{History: journal.Limits{Events: events, Bytes: 1 << 30}}, noMetrics{})
	n := &modelNode{topicLog: newTopicLog(h, event.Literal(event.Channel, "c")), log: marker.NewLog()}
	n.view = n.log.View()
	n.topicLog.Begin(source.Position{Markers: n.view})
	return n
}

func (n *modelNode) receive(item modelItem) {
	n.received++
	n.messages = item.message
	switch {
	case item.marker != marker.Marker{}:
		n.log.Add(item.marker)
	case n.view != nil:
		n.frames = append(n.frames, modelFrame{n.head(), item.message})
		n.topicLog.Event(event.Event{Topic: n.topicLog.topic, Data: []byte("x")}, source.Position{})
	}
}

// head returns the number of the next frame.
func (n *modelNode) head() uint64 {
	n.topicLog.lock()
	defer n.topicLog.unlock()
	return n.topicLog.view.Head()
}

// disconnect loses some items and the journal.
func (n *modelNode) disconnect(items []modelItem) {
	for range min(rand.IntN(20), len(items)-n.received) {
		n.messages = items[n.received].message
		n.received++
	}
	n.log = marker.NewLog()
}

func (n *modelNode) resume() {
	n.view = n.log.View()
	n.frames = append(n.frames, modelFrame{number: n.head()})
	n.topicLog.Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, At: source.Position{Markers: n.view}})
}

// modelCursor is a cursor of a position after a number of messages.
type modelCursor struct {
	text    string
	message int
}

// cursor returns the cursor of the head as an event has it, or as stream.open has it.
func (n *modelNode) cursor(open bool) modelCursor {
	n.topicLog.lock()
	defer n.topicLog.unlock()
	text := n.topicLog.view.CursorAt(n.topicLog.view.Head())
	if open {
		text = n.topicLog.cursors.head()
	}
	return modelCursor{text, n.messages}
}

// checkFrom checks that a client at a position, which has received the first messages, gets the
// next message or a gap.
func (n *modelNode) checkFrom(t *testing.T, pos uint64, c modelCursor) {
	t.Helper()
	for _, f := range n.frames {
		switch {
		case f.number < pos && f.message > c.message:
			t.Errorf("the cursor %s after message %d resumes at %d, after message %d", c.text, c.message, pos, f.message)
			return
		case f.number >= pos && f.message != 0 && f.message != c.message+1:
			t.Errorf("the cursor %s after message %d resumes at %d, before message %d", c.text, c.message, pos, f.message)
			return
		case f.number >= pos:
			return
		}
	}
}

// checkNew checks that a client does not have the messages from a position on.
func (n *modelNode) checkNew(t *testing.T, pos uint64, c modelCursor) {
	t.Helper()
	for _, f := range n.frames {
		if f.number >= pos && f.message != 0 && f.message <= c.message {
			t.Errorf("the cursor %s after message %d starts at %d, before message %d", c.text, c.message, pos, f.message)
			return
		}
	}
}

// All payloads are equal, so only markers and counts distinguish positions.
func TestChannelCursors_SamePositionOnAllNodes(t *testing.T) {
	t.Parallel()
	const steps, rounds = 4000, 20
	found, missed, expired := 0, 0, 0
	for range rounds {
		nodes := []*modelNode{newModelNode(1 << 16), newModelNode(1 << 16), newModelNode(50), newModelNode(3)}
		sequences := make(map[string]uint64)
		var items []modelItem
		var cursors []modelCursor
		type resumption struct {
			node *modelNode
			pos  uint64
			modelCursor
		}
		var resumed []resumption
		messages, busy := 0, rand.IntN(8)+1
		for range steps {
			n := nodes[rand.IntN(len(nodes))]
			switch r := rand.IntN(100); {
			case r < 5*busy:
				messages++
				items = append(items, modelItem{message: messages})
			case r < 5*busy+10:
				node := markerNode(rand.IntN(5))
				sequences[node]++
				items = append(items, modelItem{marker.Marker{Node: node, Sequence: sequences[node]}, messages})
			case r < 5*busy+40:
				for range min(rand.IntN(10), len(items)-n.received) {
					n.receive(items[n.received])
					if n.view != nil {
						cursors = append(cursors, n.cursor(rand.IntN(3) == 0))
					}
				}
			case r < 5*busy+41 && n.view != nil:
				n.view.End()
				n.view = nil
			case n.view == nil && rand.IntN(4) == 0:
				if rand.IntN(2) == 0 {
					n.disconnect(items)
				}
				n.resume()
			case len(cursors) > 0:
				c := cursors[len(cursors)-1-rand.IntN(min(len(cursors), 200))]
				n.topicLog.lock()
				_, pos, ok := n.topicLog.cursors.(*channelCursors).find(c.text)
				tail, _ := n.topicLog.view.Tail()
				n.topicLog.unlock()
				switch {
				case !ok: // the client gets a gap
					missed++
				case pos >= tail:
					resumed = append(resumed, resumption{n, pos, c})
				default: // a gap, and then all frames from the tail on
					expired++
					n.checkNew(t, tail, c)
				}
			}
		}
		for _, n := range nodes { // the events after the positions
			if n.view == nil {
				n.resume()
			}
			for n.received < len(items) {
				n.receive(items[n.received])
			}
		}
		for _, r := range resumed {
			r.node.checkFrom(t, r.pos, r.modelCursor)
		}
		found += len(resumed)
		if t.Failed() {
			return
		}
	}
	if found < missed || expired == 0 {
		t.Errorf("%d cursors were found, %d are expired, %d were not found; want some of each", found, expired, missed)
	}
}
