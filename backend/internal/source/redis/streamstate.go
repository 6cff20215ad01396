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
	large, _ := lru.New[string, struct{}](maxLargeStreams) // fails only for a size that is not positive
	return &stateReader{large: large}
}

// stateScript returns the reply to XINFO STREAM with only the ids of the oldest and the newest entry.
const stateScript = `
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 2, #info, 2 do
  if type(info[i]) == 'table' then info[i] = {info[i][1]} end
end
return info`

// queue adds a read of the state of a stream to a pipeline.
func (r *stateReader) queue(ctx context.Context, pipe redis.Pipeliner, name string) *redis.Cmd {
	if r.large.Contains(name) && !r.forbidden.Load() {
		return pipe.Do(ctx, "eval_ro", stateScript, 1, name)
	}
	return pipe.Do(ctx, "xinfo", "stream", name)
}

// isScriptForbidden reports whether the error of a queued read says that Redis does not allow the
// script. All states are then read without.
func (r *stateReader) isScriptForbidden(read *redis.Cmd) bool {
	err := read.Err()
	if err == nil || read.Name() != "eval_ro" || !strings.Contains(err.Error(), "'eval_ro'") && !strings.Contains(err.Error(), "executing the script") {
		return false
	}
	r.forbidden.Store(true)
	return true
}

// result returns the state that was read, and the number of bytes of the entries that Redis sent with it.
func (r *stateReader) result(name string, read *redis.Cmd) (state source.StreamState, bytes int, err error) {
	reply, err := read.Result()
	if isNoSuchKey(err) {
		return state, 0, nil
	}
	if err != nil {
		return state, 0, err
	}
	state, bytes, err = parseState(reply)
	if bytes >= largeEntry {
		r.large.Add(name, struct{}{})
	}
	return state, bytes, err
}

// readWith executes a read together with that of the state, at one moment.
func (r *stateReader) readWith(ctx context.Context, client redis.UniversalClient, name string, read redis.Cmder) (source.StreamState, error) {
	tx := client.TxPipeline()
	_ = tx.Process(ctx, read)
	info := r.queue(ctx, tx, name)
	_, err := tx.Exec(ctx)
	if r.isScriptForbidden(info) {
		return r.readWith(ctx, client, name, read)
	}
	// The transaction's own error may hide why a command was refused.
	for _, err := range []error{read.Err(), info.Err()} {
		if err := refusal(err); isRefusal(err) {
			return source.StreamState{}, err
		}
	}
	if err != nil && !isNoSuchKey(info.Err()) {
		return source.StreamState{}, fmt.Errorf("reading the stream %q: %w", name, err)
	}
	state, _, err := r.result(name, info)
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
		pipe, queued := client.Pipeline(), make([]*redis.Cmd, n)
		for i := range queued {
			queued[i] = s.state.queue(ctx, pipe, names[from+i])
		}
		_, _ = pipe.Exec(ctx) // each command has its error
		total, tooLarge := 0, false
		for i, read := range queued {
			state, bytes, err := s.state.result(names[from+i], read)
			states[from+i], errs[from+i] = state, err
			total += bytes
			tooLarge = tooLarge || errors.Is(err, errReplyTooLarge)
		}
		switch {
		case !tooLarge:
			size.observe(n, total)
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

// parseState converts the reply to XINFO STREAM. It returns the state, and the number of bytes of the
// entries in the reply. It returns an error for a missing reply, which must not pass for a stream
// that does not exist.
func parseState(reply any) (s source.StreamState, bytes int, err error) {
	info := parseMap(reply) // the script returns a list
	if info == nil {
		return s, 0, errors.New("redis gave no state of the stream")
	}
	length, _ := info["length"].(int64)
	added, _ := info["entries-added"].(int64)
	first, sizeOfFirst := parseEdge(info["first-entry"])
	_, sizeOfLast := parseEdge(info["last-entry"])
	return source.StreamState{
		Exists: true, Length: uint64(length), Added: uint64(added),
		First: first, Last: parseID(info["last-generated-id"]), Deleted: parseID(info["max-deleted-entry-id"]),
	}, sizeOfFirst + sizeOfLast, nil
}

// parseEdge returns the id of the oldest or the newest entry, and the number of bytes of its values.
func parseEdge(reply any) (id event.StreamID, bytes int) {
	entry, _ := reply.([]any)
	if len(entry) == 0 { // the stream is empty
		return id, 0
	}
	if len(entry) == 2 {
		fields, _ := entry[1].([]any)
		for i := 1; i < len(fields); i += 2 {
			text, _ := fields[i].(string)
			bytes += len(text)
		}
	}
	return parseID(entry[0]), bytes
}
