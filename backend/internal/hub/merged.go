package hub

import (
	"slices"
	"strings"
	"sync"

	"sluice/internal/journal"
)

// mergedLimits bounds the journal of a merged. It only saves encoding the same ids
// for each of its readers; what has left it is made anew from the journals of its
// topics, so it need not be long.
var mergedLimits = journal.Limits{Events: 1024, Bytes: 256 << 10}

// merged is the journal of a list of topics, shared by all who follow the same list.
// It holds the frames of its logs with ids that cover the whole list.
type mergedJournal struct {
	key   string
	logs  []*topicLog // in the order of their topics' names
	log   *journal.Journal
	users int // guarded by the hub's mutex

	mu      sync.Mutex // taken after the topicLog's
	cursors vector     // of the head
}

// mergedOrder returns the logs in the order of a merged's vector, and its key.
func mergedOrder(logs []*topicLog) (sorted []*topicLog, key string) {
	sorted = slices.SortedFunc(slices.Values(logs), func(a, b *topicLog) int {
		return strings.Compare(a.topic.String(), b.topic.String())
	})
	names := make([]string, len(sorted))
	for i, f := range sorted {
		names[i] = f.topic.String()
	}
	return sorted, strings.Join(names, "\n")
}

// joinMerged returns the merged of these logs, a new one if nobody uses it yet.
func (h *Hub) joinMerged(logs []*topicLog) *mergedJournal {
	h.mu.Lock()
	defer h.mu.Unlock()
	sorted, key := mergedOrder(logs)
	b := h.merged[key]
	if b == nil || !slices.Equal(b.logs, sorted) { // a topic that failed has another topicLog since
		b = newMerged(key, sorted)
		h.merged[key] = b
	}
	b.users++
	return b
}

func (h *Hub) leaveMerged(b *mergedJournal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b.users--
	if b.users > 0 {
		return
	}
	if h.merged[b.key] == b {
		delete(h.merged, b.key)
	}
	for _, f := range b.logs {
		f.mu.Lock()
		f.merged = slices.DeleteFunc(f.merged, func(other *mergedJournal) bool { return other == b })
		f.mu.Unlock()
	}
}

func newMerged(key string, logs []*topicLog) *mergedJournal {
	b := &mergedJournal{key: key, logs: logs, cursors: make(vector, len(logs))}
	unlock := lockAll(logs)
	defer unlock()
	for i, f := range logs {
		b.cursors[i] = component{tag(f.topic), f.cursors.head()}
		f.merged = append(f.merged, b)
	}
	b.log = journal.New(mergedLimits, b.cursors.String())
	if slices.ContainsFunc(logs, func(f *topicLog) bool { return f.failed != nil }) {
		b.log.End()
	}
	return b
}

// lockAll holds up all logs. They must be in the order of a merged, so that two
// callers cannot wait for each other.
func lockAll(logs []*topicLog) (unlock func()) {
	for _, f := range logs {
		f.mu.Lock()
	}
	return func() {
		for _, f := range logs {
			f.mu.Unlock()
		}
	}
}

// append adds a frame of one of the logs, whose mutex is held.
func (b *mergedJournal) append(from *topicLog, frame journal.Frame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cursors[slices.Index(b.logs, from)].cursor = string(frame.Cursor)
	frame.Cursor = []byte(b.cursors.String())
	b.log.Append(frame)
}
