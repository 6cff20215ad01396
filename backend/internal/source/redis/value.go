package redis

import (
	"context"
	"errors"
	"iter"
	"math"
	"reflect"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/source"
)

// value is what a key holds, as an event.
type value struct {
	eventType string
	data      []byte
}

// sum returns a hash of the type and the data.
func (v value) sum() uint64 {
	d := xxhash.New()
	_, _ = d.WriteString(v.eventType + "\n") // it never fails
	_, _ = d.Write(v.data)
	return d.Sum64()
}

// readValues finds what the keys hold. Sizes, types and values are asked for one after the
// other; a key whose type changed in between is read again.
func readValues(ctx context.Context, client redis.Cmdable, names []string, found func(name string, v value)) error {
	keys, err := describe(ctx, client, names)
	if err != nil {
		return err
	}
	for counted := range parts(keys) {
		if err := count(ctx, client, counted); err != nil {
			return err
		}
		for read := range parts(counted) {
			if err := readPart(ctx, client, read, found); err != nil {
				return err
			}
		}
	}
	return nil
}

// parts divides keys into parts whose values have at most source.MaxValueBytes together. They are
// read one part at a time, which bounds the memory of Redis and of the gateway.
func parts(keys []description) iter.Seq[[]description] {
	return func(yield func([]description) bool) {
		first, size := 0, int64(0)
		for i, k := range keys {
			if k.isTooLarge() {
				continue
			}
			if size+k.size > source.MaxValueBytes {
				if !yield(keys[first:i]) {
					return
				}
				first, size = i, 0
			}
			size += k.size
		}
		yield(keys[first:])
	}
}

func readPart(ctx context.Context, client redis.Cmdable, keys []description, found func(name string, v value)) error {
	results := make([]func() (value, error), len(keys))
	pipe := client.Pipeline()
	for i, k := range keys {
		results[i] = readValue(ctx, pipe, k)
	}
	if _, err := pipe.Exec(ctx); err != nil && !isAnswer(err) {
		return err
	}
	for i, k := range keys {
		v, err := results[i]()
		switch {
		case errors.Is(err, redis.Nil):
			v = value{event.KeyDeleted, []byte("null")}
		case isWrongType(err):
			if err := readValues(ctx, client, []string{k.name}, found); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		case len(v.data) > source.MaxValueBytes:
			v = tooLarge(k)
		}
		found(k.name, v)
	}
	return nil
}

// description is what is known of a key before its value is read.
type description struct {
	name, keyType string
	size          int64 // bytes in the memory of Redis; 0 if unknown
}

// maxMemory bounds the memory in Redis of a value that is read. It is more than the bound of a
// value, since memory includes spare room and the structure of collections.
const maxMemory = 2 * source.MaxValueBytes

func (k description) isTooLarge() bool {
	return k.size > maxMemory
}

// describe reads the types and sizes of keys, which takes Redis little time for keys of any size.
// The sizes of collections are estimates.
func describe(ctx context.Context, client redis.Cmdable, names []string) ([]description, error) {
	types := make([]*redis.StatusCmd, len(names))
	sizes := make([]*redis.IntCmd, len(names))
	pipe := client.Pipeline()
	for i, name := range names {
		types[i] = pipe.Type(ctx, name)
		sizes[i] = pipe.MemoryUsage(ctx, name)
	}
	if _, err := pipe.Exec(ctx); err != nil && !isAnswer(err) {
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

// count replaces the estimated sizes of collections by exact ones, since an element may be larger
// than those of the estimate. It takes Redis as much time as reading the collections, so it must
// not be used for collections with many elements.
func count(ctx context.Context, client redis.Cmdable, keys []description) error {
	const allElements = 0
	collections := []string{"hash", "list", "set", "zset"}
	sizes := make([]*redis.IntCmd, len(keys))
	pipe := client.Pipeline()
	for i, k := range keys {
		if slices.Contains(collections, k.keyType) && !k.isTooLarge() {
			sizes[i] = pipe.MemoryUsage(ctx, k.name, allElements)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !isAnswer(err) {
		return err
	}
	for i, size := range sizes {
		if size != nil && size.Err() == nil {
			keys[i].size = size.Val()
		}
	}
	return nil
}

// isAnswer reports whether an error is the reply of Redis to one command of a pipeline. The other
// commands then have replies too.
func isAnswer(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// tooLarge returns the value that stands for one that is too large.
func tooLarge(k description) value {
	return value{event.KeyUnsupported, marshal(map[string]string{"type": k.keyType, "reason": "too large"})}
}

// readValue queues the command that reads a key of its type, unless it is too large, and
// returns how to make a value of the answer.
func readValue(ctx context.Context, p redis.Pipeliner, k description) func() (value, error) {
	if k.isTooLarge() {
		return func() (value, error) { return tooLarge(k), nil }
	}
	switch k.keyType {
	case "none":
		return func() (value, error) { return value{}, redis.Nil }
	case "string":
		cmd := p.Get(ctx, k.name)
		return func() (value, error) {
			b, err := cmd.Bytes()
			return value{"", b}, err
		}
	case "hash":
		cmd := p.HGetAll(ctx, k.name)
		return func() (value, error) { return collectionValue(cmd.Result()) }
	case "list":
		cmd := p.LRange(ctx, k.name, 0, -1)
		return func() (value, error) { return collectionValue(cmd.Result()) }
	case "set":
		cmd := p.SMembers(ctx, k.name)
		return func() (value, error) {
			slices.Sort(cmd.Val())
			return collectionValue(cmd.Result())
		}
	case "zset":
		cmd := p.ZRangeWithScores(ctx, k.name, 0, -1)
		return func() (value, error) { return collectionValue(scored(cmd.Val()), cmd.Err()) }
	case "ReJSON-RL":
		cmd := p.Do(ctx, "JSON.GET", k.name)
		return func() (value, error) {
			text, err := cmd.Text()
			return value{"", []byte(text)}, err
		}
	default:
		return func() (value, error) {
			return value{event.KeyUnsupported, marshal(map[string]string{"type": k.keyType})}, nil
		}
	}
}

// collectionValue returns the value of a collection. Redis has no empty collections, so one
// without members was deleted after its type was read.
func collectionValue(v any, err error) (value, error) {
	if err == nil && reflect.ValueOf(v).Len() == 0 {
		err = redis.Nil
	}
	if err != nil {
		return value{}, err
	}
	return value{"", marshal(v)}, nil
}

// scored returns the members of a sorted set as pairs of member and score.
func scored(members []redis.Z) [][2]any {
	pairs := make([][2]any, len(members))
	for i, z := range members {
		pairs[i] = [2]any{z.Member, z.Score}
		switch { // JSON has no infinite numbers
		case math.IsInf(z.Score, 1):
			pairs[i][1] = "inf"
		case math.IsInf(z.Score, -1):
			pairs[i][1] = "-inf"
		}
	}
	return pairs
}
