package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
)

const (
	// keysBatch bounds the keys that are asked for in one round trip.
	keysBatch = 128
	scanCount = 1000
)

// show reads keys and delivers those whose value is not the one delivered last.
func (f *keyFollowing) show(ctx context.Context, w *keyWork) error {
	f.mu.Lock()
	round := f.round
	f.mu.Unlock()
	var tooMany error
	if w.all {
		err := f.addAll(ctx, w)
		switch {
		case errors.Is(err, ErrTooManyKeys):
			tooMany = err
			f.keepKnown(w)
		case err != nil:
			return err
		}
	}
	batch := make([]string, 0, keysBatch)
	for name := range w.names {
		batch = append(batch, name)
		if len(batch) == keysBatch {
			if err := f.showBatch(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := f.showBatch(ctx, batch); err != nil {
		return err
	}
	if w.all {
		f.finish(round, tooMany)
	}
	return nil
}

// keepKnown reduces the work on a glob that matches too many keys to those that were
// delivered before it did. Whoever follows it since then is told that others are missing.
func (f *keyFollowing) keepKnown(w *keyWork) {
	clear(w.names)
	for name := range f.values {
		w.names[name] = struct{}{}
	}
	if len(w.names) > 0 {
		f.sink.Gap(Gap{Reason: event.SourceInterrupted, Lost: event.LostUnknown})
	}
}

// finish notes that the state of a round was delivered, or that it cannot be.
func (f *keyFollowing) finish(round int, failed error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = failed
	if f.shown < round {
		f.shown = round
		if f.shown == f.round {
			close(f.ready)
		}
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
	found := 0
	return scan(ctx, f.owner.client, f.topic.Pattern, func(name string) error {
		if strings.HasPrefix(name, internalPrefix) {
			return nil
		}
		w.names[name] = struct{}{}
		if found++; found > MaxKeys {
			return tooManyKeys(f.topic)
		}
		return nil
	})
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

func tooManyKeys(t event.Topic) error {
	return fmt.Errorf("%w: %s matches more than %d; use a narrower glob", ErrTooManyKeys, t, MaxKeys)
}

func (f *keyFollowing) showBatch(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	return readValues(ctx, f.owner.client, names, f.deliver)
}

// deliver passes a value on unless it is the one that was delivered last.
func (f *keyFollowing) deliver(name string, v value) {
	before, known := f.values[name]
	if known && before.sum == v.sum {
		return
	}
	if !known && v.eventType == event.KeyDeleted && f.topic.IsGlob() {
		return // it came and went unseen
	}
	if v.eventType == event.KeyDeleted && f.topic.IsGlob() {
		delete(f.values, name)
	} else {
		f.values[name] = value{sum: v.sum}
	}
	f.sink.Event(event.Event{Topic: event.Literal(event.Key, name), Type: v.eventType, Data: v.data})
}
