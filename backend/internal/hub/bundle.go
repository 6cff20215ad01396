package hub

import (
	"slices"
	"strings"
	"sync"

	"sluice/internal/journal"
)

// bundleLimits bounds the journal of a bundle. It only saves encoding the same ids
// for each of its readers; what has left it is made anew from the journals of its
// topics, so it need not be long.
var bundleLimits = journal.Limits{Events: 1024, Bytes: 256 << 10}

// bundle is the journal of a list of topics, shared by all who follow the same list.
// It holds the frames of its feeds with ids that cover the whole list.
type bundle struct {
	key   string
	feeds []*feed // in the order of their topics' names
	log   *journal.Journal
	users int // guarded by the hub's mutex

	mu      sync.Mutex // taken after the feed's
	cursors vector     // of the head
}

// bundleOrder returns the feeds in the order of a bundle's vector, and its key.
func bundleOrder(feeds []*feed) (sorted []*feed, key string) {
	sorted = slices.SortedFunc(slices.Values(feeds), func(a, b *feed) int {
		return strings.Compare(a.topic.String(), b.topic.String())
	})
	names := make([]string, len(sorted))
	for i, f := range sorted {
		names[i] = f.topic.String()
	}
	return sorted, strings.Join(names, "\n")
}

// joinBundle returns the bundle of these feeds, a new one if nobody uses it yet.
func (h *Hub) joinBundle(feeds []*feed) *bundle {
	h.mu.Lock()
	defer h.mu.Unlock()
	sorted, key := bundleOrder(feeds)
	b := h.bundles[key]
	if b == nil || !slices.Equal(b.feeds, sorted) { // a topic that failed has another feed since
		b = newBundle(key, sorted)
		h.bundles[key] = b
	}
	b.users++
	return b
}

func (h *Hub) leaveBundle(b *bundle) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b.users--
	if b.users > 0 {
		return
	}
	if h.bundles[b.key] == b {
		delete(h.bundles, b.key)
	}
	for _, f := range b.feeds {
		f.mu.Lock()
		f.bundles = slices.DeleteFunc(f.bundles, func(other *bundle) bool { return other == b })
		f.mu.Unlock()
	}
}

func newBundle(key string, feeds []*feed) *bundle {
	b := &bundle{key: key, feeds: feeds, cursors: make(vector, len(feeds))}
	unlock := lockAll(feeds)
	defer unlock()
	for i, f := range feeds {
		b.cursors[i] = component{tag(f.topic), f.places.head()}
		f.bundles = append(f.bundles, b)
	}
	b.log = journal.New(bundleLimits, b.cursors.String())
	if slices.ContainsFunc(feeds, func(f *feed) bool { return f.failed != nil }) {
		b.log.End()
	}
	return b
}

// lockAll holds up all feeds. They must be in the order of a bundle, so that two
// callers cannot wait for each other.
func lockAll(feeds []*feed) (unlock func()) {
	for _, f := range feeds {
		f.mu.Lock()
	}
	return func() {
		for _, f := range feeds {
			f.mu.Unlock()
		}
	}
}

// append adds a frame of one of the feeds, whose mutex is held.
func (b *bundle) append(from *feed, frame journal.Frame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cursors[slices.Index(b.feeds, from)].cursor = string(frame.Cursor)
	frame.Cursor = []byte(b.cursors.String())
	b.log.Append(frame)
}
