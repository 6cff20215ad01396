package hub

import (
	"context"

	"sluice/internal/journal"
)

// keyReplay delivers the values of keys, in the order of their names. All replays share the topic's
// list of names: a list for each would take much memory while many clients resume.
type keyReplay struct {
	cursors *keyCursors
	start   keyStart
	from    string // no name below it remains
	head    uint64 // values from this number on are in the journal
	started string // the cursor until all have been delivered
	ends    string // the cursor after that
}

func (r *keyReplay) hasGap(context.Context) (bool, error) { return false, nil }

// next returns errRemoved if the topic has evicted deletions that the client lacks.
func (r *keyReplay) next(context.Context) ([]journal.Frame, bool, error) {
	f := r.cursors.topicLog
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.start.deletions < min(r.cursors.forgotten, r.head) {
		return nil, false, errRemoved
	}
	var frames []journal.Frame
	bytes := 0
	for _, name := range r.cursors.namesFrom(r.from) {
		if len(frames) == pageFrames || bytes >= pageBytes {
			return frames, false, nil
		}
		r.from = name + "\x00"
		v := r.cursors.values[name]
		if v.number >= r.head || !r.start.needs(v) {
			continue
		}
		frame := journal.Frame{Cursor: []byte(r.started), Body: v.body}
		if f.topic.IsGlob() {
			frame.Qualifier = f.qualifier(v.topic)
		}
		frames = append(frames, frame)
		bytes += len(v.body)
	}
	if len(frames) > 0 {
		frames[len(frames)-1].Cursor = []byte(r.ends)
	}
	return frames, true, nil
}
