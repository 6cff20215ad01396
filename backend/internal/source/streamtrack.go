package source

import (
	"slices"

	"sluice/internal/event"
)

// What follows is how one stream is told from what Redis says of it: which entries are
// new, and where some are missing.

// restarted notices that the stream is not the one that was read: it is gone, was made
// anew, or lost its newest entries. It tells of the gap, sets the place from which to
// go on, and reports whether the stream must be read again from there.
func (f *streamFollowing) restarted(state StreamState) bool {
	switch {
	case !state.Exists && (f.gone || f.last.IsZero()):
		return false
	case !state.Exists:
		f.gone = true
		f.restart(ID{}, 0)
		return false
	case !state.Last.Before(f.last) && !f.isAnother(state):
		return false
	case slices.Contains(f.seen, state.Last):
		f.restart(state.Last, state.Added) // the rest is as it was
		return false
	case state.Last.Before(f.last):
		f.restart(ID{}, 0) // all that is there is new
		return true
	default:
		// Made anew, with ids that go on: what is there is behind the last one.
		f.restart(f.last, 0)
		return true
	}
}

// isAnother reports whether fewer entries were added to a stream than have been counted,
// in all or before the oldest one that is left, although that one is new.
func (f *streamFollowing) isAnother(state StreamState) bool {
	return state.Added < f.count || state.Length > 0 && f.last.Before(state.First) && state.Added-state.Length < f.count
}

// restart tells of a gap of unknown size after which the stream goes on behind an id.
func (f *streamFollowing) restart(after ID, count uint64) {
	f.sink.Gap(Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, After: after})
	f.last, f.count, f.seen = after, count, nil
}

// take delivers a page that goes on where the last one ended, behind a gap if entries
// were trimmed before they could be read.
func (f *streamFollowing) take(page Page) {
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
	partial := n < streamBatch
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
func (f *streamFollowing) gap(state StreamState, after ID, position uint64) {
	if position <= f.count {
		return
	}
	lost := int64(position - f.count)
	if _, exact := state.TrimmedBefore(); !exact {
		lost = event.LostUnknown
	}
	f.sink.Gap(Gap{Reason: event.HistoryExpired, Lost: lost, After: after})
	f.count = position
}

func (f *streamFollowing) deliver(e Entry) {
	f.sink.Event(event.Event{Topic: f.topic, ID: e.ID.String(), Type: e.Type, Data: e.Data})
	f.seen = append(f.seen, e.ID)
	if len(f.seen) > 2*rememberedIDs {
		f.seen = slices.Clone(f.seen[rememberedIDs:])
	}
}
