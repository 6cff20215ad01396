package source

import (
	"context"
	"errors"
	"slices"

	"sluice/internal/event"
)

// rememberedIDs is how many of the newest ids of a stream are remembered, and about how
// many of those before, ever more sparsely.
const rememberedIDs = 64

// streamTracker finds the new entries of one stream, and the places where some are
// missing.
type streamTracker struct {
	following *streamFollowing

	begun  bool
	last   event.StreamID   // the newest that was read
	count  uint64           // entries that had been added up to last
	told   bool             // a gap after last has been announced, of unknown size
	gone   bool             // the stream was deleted, and the gap has been announced
	behind bool             // there may be more entries after last
	seen   []event.StreamID // the newest, and some of those before; by them a stream is known again
	size   pageSize
}

// differs reports whether a stream has changed since it was read.
func (f *streamTracker) differs(state StreamState) bool {
	if !state.Exists {
		return !f.gone && !f.last.IsZero()
	}
	return state.Last != f.last || state.Added < f.count
}

// begin fixes the position from which a stream is followed, and reads its newest
// entries.
func (f *streamTracker) begin(ctx context.Context, r streamReader) error {
	newest, state, err := r.newest(ctx, f.following.name, &f.size)
	if err != nil {
		return err
	}
	after := state.Last
	switch {
	case len(newest) > 0 && newest[0].ID.Compare(state.First) > 0:
		after = newest[0].ID.Prev()
	case state.Added == state.Length && state.Deleted.IsZero():
		after = event.StreamID{} // no entry was ever removed
	case len(newest) > 0:
		after = state.First.Prev()
	}
	f.following.sink.Begin(Position{ID: after})
	for _, e := range newest {
		f.deliver(e)
	}
	f.last, f.count, f.begun = state.Last, state.Added, true
	return nil
}

// read reads a page of the entries after the last one that was read.
func (f *streamTracker) read(ctx context.Context, r streamReader) error {
	f.behind = false
	for {
		// The last entry is read once more: its presence shows that the stream is the same.
		q := Range{After: f.last.Prev(), UpTo: event.MaxStreamID, Count: f.size.count() + 1}
		page, err := r.sizedPage(ctx, f.following.name, q, &f.size)
		if errors.Is(err, ErrWrongType) { // whatever the stream held is gone
			f.ended()
			return err
		}
		if err != nil {
			return err
		}
		same := !f.last.IsZero() && len(page.Entries) > 0 && page.Entries[0].ID == f.last
		if same {
			page.Entries = page.Entries[1:]
		}
		again, err := f.restarted(ctx, r, page.State, same)
		if err != nil {
			return err
		}
		if again {
			continue
		}
		f.take(page)
		f.behind = page.More
		return nil
	}
}

// restarted notices that the stream is not the one that was read: it is gone, was made
// anew, or lost its newest entries. It tells of the gap, sets the place from which to
// go on, and reports whether the stream must be read again from there. same says that
// the last entry that was read is still there.
func (f *streamTracker) restarted(ctx context.Context, r streamReader, state StreamState, same bool) (again bool, err error) {
	switch {
	case !state.Exists:
		f.ended()
		return false, nil
	case !state.Last.Before(f.last) && !f.isAnother(state, same):
		return false, nil
	case !state.Last.Before(f.last):
		f.restart(f.last, 0) // made anew, with ids that go on
		return true, nil
	}
	known, err := f.knownAgain(ctx, r, state.Last)
	if err != nil {
		return false, err
	}
	if known {
		f.restart(state.Last, state.Added) // the newest were lost, the rest is as it was
		return false, nil
	}
	f.restart(event.StreamID{}, 0) // all that is there is new
	return true, nil
}

// ended announces the gap of a stream that was deleted. The next life is counted from its
// first entry on.
func (f *streamTracker) ended() {
	if f.gone || f.last.IsZero() {
		return
	}
	f.gone = true
	f.restart(event.StreamID{}, 0)
	f.told = false
}

// knownAgain reports whether a stream that goes up to an id still has an entry that was
// read. It looks at those that are remembered and that it could have, the newest first:
// behind the place where it went its own way, it has others.
func (f *streamTracker) knownAgain(ctx context.Context, r streamReader, last event.StreamID) (bool, error) {
	i, exact := slices.BinarySearchFunc(f.seen, last, event.StreamID.Compare)
	if exact {
		return true, nil
	}
	for step := 1; i > 0; step *= 2 {
		i = max(i-step, 0)
		page, err := r.page(ctx, f.following.name, Range{After: f.seen[i].Prev(), UpTo: f.seen[i], Count: 1})
		if err != nil || len(page.Entries) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// isAnother reports whether a stream cannot be the one that was read: its last entry is
// missing although it was neither trimmed nor deleted, or fewer entries were added than
// have been counted, in all or before the oldest one that is left although that is new.
func (f *streamTracker) isAnother(state StreamState, same bool) bool {
	wasThere := len(f.seen) > 0 && f.seen[len(f.seen)-1] == f.last
	if wasThere && !same && state.Length > 0 && !f.last.Before(state.First) && state.Deleted.Before(f.last) {
		return true
	}
	return state.Added < f.count || state.Length > 0 && f.last.Before(state.First) && state.Added-state.Length < f.count
}

// restart tells of a gap of unknown size after which the stream goes on behind an id.
func (f *streamTracker) restart(after event.StreamID, count uint64) {
	f.following.sink.Gap(Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, At: Position{ID: after}})
	f.last, f.count, f.seen = after, count, nil
	f.told = count == 0
}

// take delivers a page that goes on where the last one ended, behind a gap if entries
// were trimmed before they could be read.
func (f *streamTracker) take(page Page) {
	state := page.State
	if len(page.Entries) == 0 {
		if f.last.Before(state.Last) { // all that was added is gone again
			f.gap(state, state.Last, state.Added)
			f.last, f.count = state.Last, state.Added
		}
		return
	}
	f.gone = false
	n := uint64(len(page.Entries))
	partial := !page.More
	switch first := page.Entries[0].ID; {
	case partial: // it ends at the newest, so that all that were added can be accounted for
		f.gap(state, first.Prev(), state.Added-min(n, state.Added))
	case f.last.Before(state.First): // else nothing behind f.last was trimmed
		trimmed, _ := state.TrimmedBefore()
		f.gap(state, first.Prev(), trimmed)
	}
	for _, e := range page.Entries {
		f.deliver(e)
	}
	f.last = page.Entries[n-1].ID
	f.count += n
	if partial {
		f.count = state.Added
	}
}

// gap tells of the entries that were added behind those counted and up to the
// position'th, if there are any.
func (f *streamTracker) gap(state StreamState, after event.StreamID, position uint64) {
	told := f.told
	f.told = false
	if told || position <= f.count {
		f.count = max(f.count, position)
		return
	}
	lost := int64(position - f.count)
	if _, exact := state.TrimmedBefore(); !exact {
		lost = event.LostUnknown
	}
	f.following.sink.Gap(Gap{Reason: event.HistoryExpired, Lost: lost, At: Position{ID: after}})
	f.count = position
}

func (f *streamTracker) deliver(e Entry) {
	f.following.sink.Event(event.Event{Topic: f.following.topic, Type: e.Type, Data: e.Data}, Position{ID: e.ID})
	f.seen = append(f.seen, e.ID)
	if len(f.seen) > 2*rememberedIDs {
		f.thinSeen()
	}
}

// thinSeen forgets every other one of the older ids.
func (f *streamTracker) thinSeen() {
	kept := f.seen[:0]
	for i, id := range f.seen {
		if i%2 == 0 || i >= len(f.seen)-rememberedIDs {
			kept = append(kept, id)
		}
	}
	f.seen = kept
}
