package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/source"
)

const (
	// keysBatch bounds the keys that are asked for in one round trip.
	keysBatch = 128
	scanCount = 1000
)

// show reads keys and delivers those whose value is not the one delivered last.
func (f *keyFollowing) show(ctx context.Context, w *keyWork) error {
	if w.all {
		f.forbidden = 0
		if err := f.addAll(ctx, w); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(slices.Collect(maps.Keys(w.names)), keysBatch) {
		if err := f.showBatch(ctx, batch); err != nil {
			return err
		}
	}
	if w.all {
		f.shown = true
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.work.all {
			f.setReady()
		}
	}
	return nil
}

// setReady ends the wait of Live. mu must be held.
func (f *keyFollowing) setReady() {
	if !f.isReady {
		f.isReady = true
		close(f.ready)
	}
}

// fail ends the topic: its subscribers get a gap that says why nothing follows. Before the
// first state was delivered, only Live reports it.
func (f *keyFollowing) fail(err error) {
	f.mu.Lock()
	f.failed = err
	f.setReady()
	f.mu.Unlock()
	if f.shown {
		f.sink.Gap(source.Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown, Failed: err})
	}
}

// addAll adds the names of all keys that match the topic, and of all that did.
func (f *keyFollowing) addAll(ctx context.Context, w *keyWork) error {
	for name := range f.values {
		w.names[name] = struct{}{}
	}
	if !f.topic.IsGlob() {
		w.names[f.topic.Name()] = struct{}{}
		return nil
	}
	found := make(map[string]struct{}) // SCAN returns some names twice
	err := scan(ctx, f.owner.client, f.topic.Pattern, func(name string) error {
		if strings.HasPrefix(name, source.InternalPrefix) {
			return nil
		}
		w.names[name], found[name] = struct{}{}, struct{}{}
		if len(found) > source.MaxKeys {
			return fmt.Errorf("%w: %s matches more than %d; use a narrower glob", source.ErrTooManyKeys, f.topic, source.MaxKeys)
		}
		return nil
	})
	return refusal(err)
}

// scan calls found for all keys that match a pattern, one at a time, and some of them
// twice. On a cluster it asks all masters.
func scan(ctx context.Context, client redis.UniversalClient, pattern string, found func(string) error) error {
	var mu sync.Mutex
	scanOne := func(ctx context.Context, client redis.Cmdable) error {
		names := client.Scan(ctx, 0, pattern, scanCount).Iterator()
		for names.Next(ctx) {
			mu.Lock()
			err := found(names.Val())
			mu.Unlock()
			if err != nil {
				return err
			}
		}
		return names.Err()
	}
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error { return scanOne(ctx, master) })
	}
	return scanOne(ctx, client)
}

// showBatch delivers the values of keys. Keys of a glob that Redis forbids are left out.
func (f *keyFollowing) showBatch(ctx context.Context, names []string) error {
	err := refusal(readValues(ctx, f.owner.client, names, f.deliver))
	if !errors.Is(err, source.ErrForbidden) || !f.topic.IsGlob() {
		return err
	}
	if len(names) > 1 {
		half := len(names) / 2
		if err := f.showBatch(ctx, names[:half]); err != nil {
			return err
		}
		return f.showBatch(ctx, names[half:])
	}
	if _, delivered := f.values[names[0]]; delivered {
		f.stale.names[names[0]] = struct{}{}
	}
	f.owner.unreadable()
	if f.forbidden++; f.forbidden == 1 {
		f.owner.log.Warn("redis forbids keys of a glob; they are left out", "topic", f.topic.String(), "error", err)
	}
	return nil
}

// deliver passes a value on unless it is the one that was delivered last.
func (f *keyFollowing) deliver(name string, v value) {
	delete(f.stale.names, name)
	before, known := f.values[name]
	sum := v.sum()
	gone := v.eventType == event.KeyDeleted && f.topic.IsGlob()
	switch {
	case known && before == sum, gone && !known: // the latter came and went unseen
		return
	case gone:
		delete(f.values, name)
	default:
		f.values[name] = sum
	}
	f.sink.Event(event.Event{Topic: event.Literal(event.Key, name), Type: v.eventType, Data: v.data}, source.Position{})
}
