package redis

import (
	"context"
	"errors"
	"slices"

	"sluice/internal/event"
	"sluice/internal/source"
)

// rememberedEntries is the number of newest entries of a stream that are remembered, and about
// the number of older ones, at growing distances.
const rememberedEntries = 64

// streamLife is what was read of one life of a stream. It identifies a stream that was deleted and is
// restored, as after RENAME.
type streamLife struct {
	at      source.Position    // after the newest entry that was read
	entry   rememberedEntry    // at the position; zero if the position is not that of an entry
	entries []rememberedEntry  // the newest, and some older ones, to find out where another life of the stream begins
	state   source.StreamState // at the last read
}

// rememberedEntry identifies an entry of one life of a stream.
type rememberedEntry struct {
	id  event.StreamID
	sum uint64 // of its content
}

func remember(e source.Entry) rememberedEntry {
	return rememberedEntry{e.ID, event.Sum(e.Type, e.Data)}
}

func (f *streamFollowing) isEntry() bool {
	return !f.entry.id.IsZero()
}

// differs reports whether a stream has changed since it was read.
func (f *streamFollowing) differs(state source.StreamState) bool {
	if !state.Exists {
		return f.deleted == nil && !f.at.ID.IsZero()
	}
	return state.Last != f.at.ID || f.at.Counted() && state.Added != f.at.Ordinal
}

// begin fixes the position from which a stream is followed, and delivers the newest entries.
func (f *streamFollowing) begin(ctx context.Context, r streamReader) error {
	page, err := r.newest(ctx, f.name, &f.size)
	if err != nil {
		return err
	}
	f.at = source.Position{ID: page.State.Last, Ordinal: page.State.Added}
	if n := uint64(len(page.Entries)); n > 0 {
		f.at = source.Position{ID: page.Entries[0].ID.Prev()}
		if page.State.Added > n {
			f.at.Ordinal = page.State.Added - n
		} else if page.State.Added == n {
			f.at = source.Position{} // nothing was ever removed
		}
	}
	f.there = page.State.Exists
	f.sink.Begin(f.at)
	f.deliver(page)
	f.begun = true
	return nil
}

// read reads a page of the entries after the last one that was read.
func (f *streamFollowing) read(ctx context.Context, r streamReader) error {
	f.behind = false
	for {
		q := source.Range{After: f.at.ID, UpTo: event.MaxStreamID, Count: f.size.count()}
		if f.isEntry() { // it is read again: its presence shows that the stream is the same
			q.After, q.Count = f.at.ID.Prev(), q.Count+1
		}
		page, err := r.sizedPage(ctx, f.name, q, &f.size)
		if errors.Is(err, source.ErrWrongType) { // the stream is gone
			f.ended()
			return err
		}
		if err != nil {
			return err
		}
		same := false
		if f.isEntry() && len(page.Entries) > 0 && page.Entries[0].ID == f.at.ID {
			e := page.Entries[0]
			same = remember(e) == f.entry
			page.Entries = page.Entries[1:]
			if !same {
				f.restart(source.Position{ID: f.at.ID})
				f.remember(e)
				continue
			}
		}
		again, err := f.resumed(ctx, r, page.State)
		if err == nil && !again {
			again, err = f.restarted(ctx, r, page, same)
		}
		if err != nil {
			return err
		}
		if again {
			continue
		}
		if page.State.Exists {
			f.deleted = nil
			f.deliver(page)
		}
		f.behind = page.More
		return nil
	}
}

// restarted finds out whether the stream is another one: it was deleted, created again, or
// lost its newest entries. It reports the gap, and whether the stream must be read again from
// the new position. same says that the entry at the position is still there.
func (f *streamFollowing) restarted(ctx context.Context, r streamReader, page source.Page, same bool) (again bool, err error) {
	state := page.State
	f.there = state.Exists
	switch {
	case !state.Exists:
		f.ended()
		return false, nil
	case !state.Last.Before(f.at.ID):
		if same || !f.isAnother(page) {
			return false, nil
		}
		f.restart(source.Position{ID: f.at.ID}) // created again, with higher ids
		return true, nil
	}
	known, err := f.hasKnown(ctx, r, state.Last)
	if err != nil {
		return false, err
	}
	if known { // the newest entries were lost
		f.restart(source.Position{ID: state.Last, Ordinal: state.Added})
	} else { // all entries are new
		f.restart(source.Position{})
	}
	return true, nil
}

// ended reports the gap of a stream that was deleted. The next life is counted from its
// first entry.
func (f *streamFollowing) ended() {
	if f.deleted != nil || f.at.ID.IsZero() {
		return
	}
	f.deleted = new(f.streamLife)
	f.restart(source.Position{})
	f.told = false // a client may start here
}

// resumed reports whether the stream that was deleted is there again: it has the newest entry
// that was read. The stream must then be read again from the position after that entry.
func (f *streamFollowing) resumed(ctx context.Context, r streamReader, state source.StreamState) (bool, error) {
	if f.deleted == nil || f.deleted.entry.id.IsZero() || state.Last.Before(f.deleted.entry.id) {
		return false, nil
	}
	back, err := f.has(ctx, r, f.deleted.entry)
	if back {
		f.restart(f.deleted.at)
		f.streamLife, f.deleted = *f.deleted, nil
	}
	return back, err
}

// has reports whether the stream has an entry that was read.
func (f *streamFollowing) has(ctx context.Context, r streamReader, e rememberedEntry) (bool, error) {
	page, err := r.page(ctx, r.client, f.name, source.Range{After: e.id.Prev(), UpTo: e.id, Count: 1})
	if err != nil {
		return false, err
	}
	return len(page.Entries) > 0 && remember(page.Entries[0]) == e, nil
}

// hasKnown reports whether a stream whose last id is given still has an entry that was read.
// It looks at the remembered entries up to that id, the newest first: after the place where
// two lives diverge, no entry is the same.
func (f *streamFollowing) hasKnown(ctx context.Context, r streamReader, last event.StreamID) (bool, error) {
	i, exact := slices.BinarySearchFunc(f.entries, last, func(e rememberedEntry, id event.StreamID) int { return e.id.Compare(id) })
	if exact {
		i++
	}
	for step := 1; i > 0; step *= 2 {
		i = max(i-step, 0)
		if known, err := f.has(ctx, r, f.entries[i]); known || err != nil {
			return known, err
		}
	}
	return false, nil
}

// isAnother reports whether a stream without the entry at the position is not the one that was
// read: the entry cannot have been trimmed or deleted, or fewer entries were added or removed than
// were counted.
func (f *streamFollowing) isAnother(page source.Page) bool {
	state := page.State
	if f.isEntry() && state.Length > 0 && !f.at.ID.Before(state.First) && state.Deleted.Before(f.at.ID) {
		return true
	}
	if !f.at.Counted() {
		return false
	}
	added := f.at.Ordinal
	if !page.More {
		added += uint64(len(page.Entries))
	}
	removed := f.state.Added - f.state.Length
	if state.Length > 0 && f.at.ID.Before(state.First) {
		removed = max(removed, f.at.Ordinal)
	}
	return state.Added < added || state.Added-state.Length < removed
}

// restart reports a gap of unknown size. The stream continues at a position.
func (f *streamFollowing) restart(at source.Position) {
	f.sink.Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, At: at})
	f.streamLife = streamLife{at: at}
	f.told = at.Ordinal == 0
}

// deliver delivers the entries of a page that follows the position, and gaps at the holes.
func (f *streamFollowing) deliver(page source.Page) {
	end := source.Position{ID: page.State.Last, Ordinal: page.State.Added}
	page.Walk(f.at, end, page.Missing(f.at, end), func(lost int64, at source.Position) {
		if !f.told {
			f.sink.Gap(source.Gap{Reason: event.HistoryExpired, Lost: lost, At: at})
		}
	}, func(e source.Entry, at source.Position) {
		f.told = false
		f.at = at
		f.sink.Event(event.Event{Topic: f.topic, Type: e.Type, Data: e.Data}, at)
		f.remember(e)
	})
	f.told, f.state = false, page.State
	if page.More {
		return
	}
	if f.at.ID != end.ID {
		f.entry = rememberedEntry{}
	}
	f.at = end
}

// remember remembers the newest entry, and forgets every other one of the older entries if there are
// too many.
func (f *streamFollowing) remember(e source.Entry) {
	f.entry = remember(e)
	f.entries = append(f.entries, f.entry)
	if len(f.entries) <= 2*rememberedEntries {
		return
	}
	kept := f.entries[:0]
	for i, e := range f.entries {
		if i%2 == 0 || i >= len(f.entries)-rememberedEntries {
			kept = append(kept, e)
		}
	}
	f.entries = kept
}
