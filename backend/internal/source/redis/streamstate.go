package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/source"
)

const (
	// largeEntry is the size in bytes from which the oldest and the newest entry of a stream are too
	// large to be read with each state.
	largeEntry = 16 << 10
	// maxLargeStreams bounds the streams that are remembered as having large entries.
	maxLargeStreams = 16 << 10
)

// stateReader reads the states of streams. XINFO STREAM returns the oldest and the newest entry with
// the state, so the state of a stream with large entries is read by a script. Its methods may be
// called from any goroutine.
type stateReader struct {
	large     *lru.Cache[string, struct{}] // the streams with large entries
	forbidden atomic.Bool                  // Redis does not allow scripts
}

func newStateReader() *stateReader {
	large, err := lru.New[string, struct{}](maxLargeStreams)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &stateReader{large: large}
}

// stateScript returns the state of the stream KEYS[1]: the number of entries, the last id, the newest
// deleted id, the number of entries that were added, and the id of the oldest entry, if there is one.
const stateScript = `
local info, state = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for i = 1, #info, 2 do state[info[i]] = info[i + 1] end
local first = state['first-entry']
return {state['length'], state['last-generated-id'], state['max-deleted-entry-id'], state['entries-added'], first and first[1]}`

// queuedState is a read of a state that is queued in a pipeline.
type queuedState struct {
	reader *stateReader
	name   string
	info   *redis.XInfoStreamCmd // nil if the script reads the state
	script *redis.SliceCmd
}

func (r *stateReader) queue(ctx context.Context, pipe redis.Pipeliner, name string) queuedState {
	q := queuedState{reader: r, name: name}
	if r.large.Contains(name) && !r.forbidden.Load() {
		q.script = redis.NewSliceCmd(ctx, "eval_ro", stateScript, 1, name)
		_ = pipe.Process(ctx, q.script)
	} else {
		q.info = pipe.XInfoStream(ctx, name)
	}
	return q
}

func (q queuedState) err() error {
	if q.info == nil {
		return q.script.Err()
	}
	return q.info.Err()
}

// isScriptForbidden reports whether Redis does not allow the script. All states are then read without.
func (q queuedState) isScriptForbidden() bool {
	if q.script == nil || q.script.Err() == nil {
		return false
	}
	text := q.script.Err().Error()
	if !strings.Contains(text, "'eval_ro'") && !strings.Contains(text, "executing the script") {
		return false
	}
	q.reader.forbidden.Store(true)
	return true
}

// result returns the state and the number of bytes of the entries that Redis sent with it.
func (q queuedState) result() (state source.StreamState, bytes int, err error) {
	switch err := q.err(); {
	case isNoSuchKey(err):
		return source.StreamState{}, 0, nil
	case err != nil:
		return source.StreamState{}, 0, err
	case q.info == nil:
		state, err := parseScriptState(q.script.Val())
		return state, 0, err
	}
	info := q.info.Val()
	state, err = parseState(info)
	if err != nil {
		return state, 0, err
	}
	bytes = sizeOfValues(info.FirstEntry) + sizeOfValues(info.LastEntry)
	if bytes >= largeEntry {
		q.reader.large.Add(q.name, struct{}{})
	}
	return state, bytes, nil
}

// readWith executes a read together with that of the state, at one moment.
func (r *stateReader) readWith(ctx context.Context, client redis.UniversalClient, name string, read redis.Cmder) (source.StreamState, error) {
	var q queuedState
	_, err := client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		_ = tx.Process(ctx, read)
		q = r.queue(ctx, tx, name)
		return nil
	})
	if q.isScriptForbidden() {
		return r.readWith(ctx, client, name, read)
	}
	// The transaction's own error may hide why a command was refused.
	for _, err := range []error{read.Err(), q.err()} {
		if err := refusal(err); isRefusal(err) {
			return source.StreamState{}, err
		}
	}
	if err != nil && !isNoSuchKey(q.err()) {
		return source.StreamState{}, fmt.Errorf("reading the stream %q: %w", name, err)
	}
	state, _, err := q.result()
	return state, err
}

// states returns the states of streams, or why they cannot be read. Redis may send two entries with
// each, so size bounds the number of states that are read at once.
func (s streamReader) states(ctx context.Context, names []string, size *pageSize) ([]source.StreamState, []error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	states, errs := make([]source.StreamState, len(names)), make([]error, len(names))
	client := s.limited
	for from := 0; from < len(names); {
		n := min(size.count(), len(names)-from)
		switch bytes, ok := s.readStates(ctx, client, names[from:from+n], states[from:], errs[from:]); {
		case ok:
			size.observe(n, bytes)
			from += n
			client = s.limited
		case n == 1:
			client = s.client
		default:
			*size = pageSize(n / 2)
		}
	}
	return states, errs
}

// readStates reads states at once. It returns the size of the entries in them, and false if
// the reply is too large.
func (s streamReader) readStates(ctx context.Context, client redis.UniversalClient, names []string, states []source.StreamState, errs []error) (bytes int, ok bool) {
	pipe := client.Pipeline()
	queued := make([]queuedState, len(names))
	for i, name := range names {
		queued[i] = s.state.queue(ctx, pipe, name)
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	for i, q := range queued {
		state, size, err := q.result()
		if errors.Is(err, errReplyTooLarge) {
			return 0, false
		}
		states[i], errs[i] = state, err
		bytes += size
	}
	return bytes, true
}

func sizeOfValues(m redis.XMessage) int {
	bytes := 0
	for _, v := range m.Values {
		text, _ := v.(string)
		bytes += len(text)
	}
	return bytes
}

// parseState converts the reply to XINFO STREAM. It returns an error for a missing reply, which
// must not pass for a stream that does not exist.
func parseState(info *redis.XInfoStream) (source.StreamState, error) {
	if info == nil {
		return source.StreamState{}, errors.New("redis gave no state of the stream")
	}
	s := source.StreamState{Exists: true, Length: uint64(info.Length), Added: uint64(info.EntriesAdded)}
	s.Last, _ = event.ParseStreamID(info.LastGeneratedID)
	s.Deleted, _ = event.ParseStreamID(info.MaxDeletedEntryID)
	if info.Length > 0 {
		s.First, _ = event.ParseStreamID(info.FirstEntry.ID)
	}
	return s, nil
}

// parseScriptState converts the reply of stateScript.
func parseScriptState(reply []any) (source.StreamState, error) {
	if len(reply) < 4 {
		return source.StreamState{}, errors.New("redis gave no state of the stream")
	}
	s := source.StreamState{Exists: true}
	length, _ := reply[0].(int64)
	added, _ := reply[3].(int64)
	s.Length, s.Added = uint64(length), uint64(added)
	for i, id := range map[int]*event.StreamID{1: &s.Last, 2: &s.Deleted, 4: &s.First} {
		if i < len(reply) {
			text, _ := reply[i].(string)
			*id, _ = event.ParseStreamID(text)
		}
	}
	return s, nil
}
