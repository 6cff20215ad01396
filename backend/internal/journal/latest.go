package journal

import "container/list"

// latest is a table of the newest event of each topic. A journal maintains it while
// conflated readers exist: they hold back events by position only, and the newest event of
// a topic stays available after it has left the journal. The readers share one copy.
type latest struct {
	readers int
	limit   int // bytes of the events kept
	events  map[string]*latestEvent
	kept    list.List // of *latestEvent that have left the journal, the oldest first
	bytes   int       // of kept
}

// latestEvent is the newest event of one topic.
type latestEvent struct {
	qualifier string
	pos       uint64
	body      []byte        // nil while the journal holds the event
	element   *list.Element // in kept, else nil
}

// latestLimit bounds the bytes of events that are kept for the conflated readers of one
// journal after they have left it.
const latestLimit = 16 << 20

// latestOverhead is the approximate size of an event in the table without its qualifier and body.
const latestOverhead = 200

func (l *latestEvent) size() int {
	return latestOverhead + len(l.qualifier) + len(l.body)
}

// retainLatest starts the table for the first conflated reader.
func (j *Journal) retainLatest() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.latest.readers++
	if j.latest.readers > 1 {
		return
	}
	j.latest.events = make(map[string]*latestEvent)
	for _, s := range j.segments {
		for _, r := range s.recs[s.first:] {
			j.latest.add(r.qualifier, r.seq, r.lost)
		}
	}
}

// releaseLatest drops the table after the last conflated reader.
func (j *Journal) releaseLatest() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.latest.readers--
	if j.latest.readers == 0 {
		j.latest = latest{limit: j.latest.limit}
	}
}

// add records an appended event. It ignores gaps. The journal's mu must be held.
func (l *latest) add(qualifier string, pos uint64, lost int64) {
	if l.readers == 0 || lost != 0 {
		return
	}
	e := l.events[qualifier]
	if e == nil {
		e = &latestEvent{qualifier: qualifier}
		l.events[qualifier] = e
	}
	l.drop(e)
	e.pos = pos
}

// evicted keeps a copy of an evicted event if it is the newest of its topic. If the copies exceed
// the limit, the oldest ones are dropped. The journal's mu must be held.
func (l *latest) evicted(f *Frame, pos uint64) {
	e := l.events[f.Qualifier]
	if e == nil || e.pos != pos {
		return
	}
	e.body = append(make([]byte, 0, len(f.Body)), f.Body...)
	e.element = l.kept.PushBack(e)
	l.bytes += e.size()
	for l.bytes > l.limit {
		oldest := l.kept.Front().Value.(*latestEvent)
		l.drop(oldest)
		delete(l.events, oldest.qualifier)
	}
}

// drop releases the copy of an event, if there is one.
func (l *latest) drop(e *latestEvent) {
	if e.element == nil {
		return
	}
	l.bytes -= e.size()
	l.kept.Remove(e.element)
	e.body, e.element = nil, nil
}

// body returns the body of an event at a position that a conflated reader holds back. If it
// is gone, lost reports whether it was the newest of its topic; otherwise a newer one
// follows. j.mu must be held.
func (j *Journal) body(qualifier string, pos uint64) (body []byte, lost bool) {
	if pos >= j.tail {
		i, k := j.find(pos)
		return j.segments[i].frame(k).Body, false
	}
	e := j.latest.events[qualifier]
	if e != nil && e.pos == pos {
		return e.body, false
	}
	return nil, e == nil && j.latest.readers > 0
}
