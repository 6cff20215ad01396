package hub

import (
	"context"

	"sluice/internal/event"
	"sluice/internal/journal"
)

// keyReplay delivers the values of keys.
type keyReplay struct {
	cursors *keyCursors
	keys    []replayedKey
	head    uint64 // values from this number on are in the journal
	started string // the cursor until all have been delivered
	ends    string // the cursor after that
}

// replayedKey is a key to deliver. A deletion may be forgotten during the replay; it is
// delivered nevertheless.
type replayedKey struct {
	name    string
	deleted bool
}

// hasGap implements [replay].
func (r *keyReplay) hasGap(context.Context, *Hub) (bool, error) { return false, nil }

func (r *keyReplay) next(context.Context, *Hub) ([]journal.Frame, bool, error) {
	f := r.cursors.topicLog
	f.mu.Lock()
	defer f.mu.Unlock()
	var frames []journal.Frame
	for bytes := 0; len(r.keys) > 0 && len(frames) < pageFrames && bytes < pageBytes; r.keys = r.keys[1:] {
		key := r.keys[0]
		v, ok := r.cursors.values[key.name]
		if ok && v.number >= r.head || !ok && !key.deleted {
			continue
		}
		if !ok {
			v.topic = event.Topic{Kind: event.Key, Pattern: key.name}
			v.body = event.AppendBody(nil, event.KeyDeleted, []byte("null"))
		}
		frame := journal.Frame{Cursor: []byte(r.started), Body: v.body}
		if f.topic.IsGlob() {
			frame.Qualifier = f.qualifier(v.topic)
		}
		frames = append(frames, frame)
		bytes += len(v.body)
	}
	done := len(r.keys) == 0
	if done && len(frames) > 0 {
		frames[len(frames)-1].Cursor = []byte(r.ends)
	}
	return frames, done, nil
}
