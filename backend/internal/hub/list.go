package hub

import (
	"strings"
	"time"

	"sluice/internal/event"
	"sluice/internal/journal"
)

// listReader is a [journal.BatchReader] of the journals of a list, one after the other, with ids
// that have the cursors of all topics. The order of events of different topics is not kept.
type listReader struct {
	topics  []listedTopic // in the order of their names
	current int           // index of the topic that Next reads first
	last    int           // index of the topic of the last batch
}

// listedTopic is the part of a listReader that reads one topic.
type listedTopic struct {
	journal.Reader
	prefix string // of the topic's cursor in an id
	cursor []byte // of the last frame that was encoded
}

func newListReader(logs []*topicLog, every time.Duration) *listReader {
	l := &listReader{topics: make([]listedTopic, len(logs))}
	for i, t := range logs {
		l.topics[i].prefix = tag(t.topic) + "="
		qualifier := event.Qualifier(t.topic)
		l.topics[i].Reader = journal.NewReader(t.log, every, !t.topic.IsGlob(), func(dst []byte, q string, cursor, body []byte) []byte {
			if t.topic.IsGlob() {
				qualifier = q[:strings.IndexByte(q, '@')+1] // without the tag
			}
			l.topics[i].cursor = append(l.topics[i].cursor[:0], cursor...)
			return append(l.appendID(dst, qualifier), body...)
		})
	}
	return l
}

// appendID appends an id line with the cursors of all topics.
func (l *listReader) appendID(dst []byte, qualifier string) []byte {
	dst = event.AppendID(dst, qualifier, nil)
	dst = dst[:len(dst)-1] // without the line break
	for i := range l.topics {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, l.topics[i].prefix...)
		dst = append(dst, l.topics[i].cursor...)
	}
	return append(dst, '\n')
}

// Next reads the next topic that has something, so no topic delays the others for long.
func (l *listReader) Next() (journal.Batch, bool) {
	more := false
	for n := range l.topics {
		i := (l.current + n) % len(l.topics)
		if l.topics[i].Finished() {
			continue
		}
		b, ok := l.topics[i].Next()
		if !ok {
			return b, false
		}
		more = more || !b.AtHead
		if len(b.Bytes) > 0 {
			l.last, l.current = i, i+1
			b.AtHead = false // the other topics may have something
			return b, true
		}
	}
	return journal.Batch{AtHead: !more}, !l.Finished()
}

func (l *listReader) Finished() bool {
	for i := range l.topics {
		if !l.topics[i].Finished() {
			return false
		}
	}
	return true
}

func (l *listReader) Unread(b *journal.Batch, offset int) {
	t := &l.topics[l.last]
	t.Unread(b, offset)
	if !t.Conflated() {
		t.cursor = append(t.cursor[:0], t.Cursor()...)
	}
}

func (l *listReader) Due() time.Time {
	var due time.Time
	for i := range l.topics {
		if at := l.topics[i].Due(); !at.IsZero() && (due.IsZero() || at.Before(due)) {
			due = at
		}
	}
	return due
}

func (l *listReader) Journals() []*journal.Journal {
	journals := make([]*journal.Journal, len(l.topics))
	for i := range l.topics {
		journals[i] = l.topics[i].Journal()
	}
	return journals
}

func (l *listReader) Behind() bool {
	for i := range l.topics {
		if t := &l.topics[i]; !t.Finished() && t.Behind() {
			return true
		}
	}
	return l.Finished()
}
