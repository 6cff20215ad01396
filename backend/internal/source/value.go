package source

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
)

// MaxValueBytes bounds the values that are read and shown: to read a large one anew after
// each change would keep Redis busy with nothing else.
const MaxValueBytes = 8 << 20

// value is what a key holds, as an event.
type value struct {
	eventType string
	data      []byte
	sum       uint64 // tells values apart
}

func newValue(eventType string, data []byte) value {
	d := xxhash.New()
	_, _ = d.WriteString(eventType + "\n") // a hash takes everything
	_, _ = d.Write(data)
	return value{eventType, data, d.Sum64()}
}

// readValues returns what the keys hold. Types and values are read one after the other;
// a key whose type changed in between is read again.
func readValues(ctx context.Context, client redis.Cmdable, names []string) ([]value, error) {
	for {
		values, changed, err := tryReadValues(ctx, client, names)
		if err != nil || !changed {
			return values, err
		}
	}
}

func tryReadValues(ctx context.Context, client redis.Cmdable, names []string) (values []value, changed bool, err error) {
	keys, err := describe(ctx, client, names)
	if err != nil {
		return nil, false, err
	}
	results := make([]func() (value, error), len(keys))
	_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, k := range keys {
			if k.size > MaxValueBytes {
				results[i] = tooLarge(k)
				continue
			}
			results[i] = readValue(ctx, p, k)
		}
		return nil
	})
	if err != nil && !isAnswer(err) {
		return nil, false, err
	}
	values = make([]value, len(keys))
	for i, result := range results {
		values[i], err = result()
		switch {
		case errors.Is(err, redis.Nil):
			values[i] = newValue(event.KeyDeleted, []byte("null"))
		case isWrongType(err):
			return nil, true, nil
		case err != nil:
			return nil, false, err
		case len(values[i].data) > MaxValueBytes:
			values[i], _ = tooLarge(keys[i])()
		}
	}
	return values, false, nil
}

// description is what is known of a key before its value is read.
type description struct {
	name, keyType string
	size          int64 // about, in bytes of Redis's memory; 0 where Redis does not tell
}

func describe(ctx context.Context, client redis.Cmdable, names []string) ([]description, error) {
	types := make([]*redis.StatusCmd, len(names))
	sizes := make([]*redis.IntCmd, len(names))
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			types[i] = p.Type(ctx, name)
			sizes[i] = p.MemoryUsage(ctx, name)
		}
		return nil
	})
	if err != nil && !isAnswer(err) {
		return nil, err
	}
	keys := make([]description, len(names))
	for i, name := range names {
		if err := types[i].Err(); err != nil {
			return nil, err
		}
		keys[i] = description{name, types[i].Val(), sizes[i].Val()}
	}
	return keys, nil
}

// isAnswer reports whether an error is the answer of Redis to one command of a pipeline,
// so that the others have theirs.
func isAnswer(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// tooLarge returns how to make the value that stands for one that is too large.
func tooLarge(k description) func() (value, error) {
	return func() (value, error) {
		return newValue(event.KeyUnsupported, marshal(map[string]string{"type": k.keyType, "reason": "too large"})), nil
	}
}

// readValue queues the command that reads a key of its type, and returns how to make a
// value of the answer.
func readValue(ctx context.Context, p redis.Pipeliner, k description) func() (value, error) {
	switch k.keyType {
	case "none":
		return func() (value, error) { return value{}, redis.Nil }
	case "string":
		cmd := p.Get(ctx, k.name)
		return func() (value, error) {
			b, err := cmd.Bytes()
			return newValue("", b), err
		}
	case "hash":
		cmd := p.HGetAll(ctx, k.name)
		return func() (value, error) {
			return ofCollection(len(cmd.Val()), cmd.Val(), cmd.Err())
		}
	case "list":
		cmd := p.LRange(ctx, k.name, 0, -1)
		return func() (value, error) {
			return ofCollection(len(cmd.Val()), cmd.Val(), cmd.Err())
		}
	case "set":
		cmd := p.SMembers(ctx, k.name)
		return func() (value, error) {
			members := slices.Sorted(slices.Values(cmd.Val()))
			return ofCollection(len(members), members, cmd.Err())
		}
	case "zset":
		cmd := p.ZRangeWithScores(ctx, k.name, 0, -1)
		return func() (value, error) {
			return ofCollection(len(cmd.Val()), scored(cmd.Val()), cmd.Err())
		}
	case "ReJSON-RL":
		cmd := p.Do(ctx, "JSON.GET", k.name)
		return func() (value, error) {
			text, err := cmd.Text()
			return newValue("", []byte(text)), err
		}
	default:
		return func() (value, error) {
			return newValue(event.KeyUnsupported, marshal(map[string]string{"type": k.keyType})), nil
		}
	}
}

// ofCollection returns the value of a collection; Redis keeps no empty ones, so one
// without members is a key that was deleted since its type was read.
func ofCollection(members int, v any, err error) (value, error) {
	if err != nil {
		return value{}, err
	}
	if members == 0 {
		return value{}, redis.Nil
	}
	return newValue("", marshal(v)), nil
}

// scored returns the members of a sorted set as pairs of member and score.
func scored(members []redis.Z) [][2]any {
	pairs := make([][2]any, len(members))
	for i, z := range members {
		pairs[i] = [2]any{z.Member, score(z.Score)}
	}
	return pairs
}

// score returns what stands for a score in JSON, which has no infinite numbers.
func score(s float64) any {
	switch {
	case math.IsInf(s, 1):
		return "inf"
	case math.IsInf(s, -1):
		return "-inf"
	}
	return s
}
