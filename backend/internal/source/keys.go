package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
)

const (
	// keysBatch bounds the keys that are read in one round trip.
	keysBatch = 128
	scanCount = 1000
)

// notificationFlags are those of notify-keyspace-events that tell of every change of a
// value: in the channel of the key, all kinds of commands, expiry and eviction too.
const notificationFlags = "KA"

// keys follows the values of keys. Redis notifies of a change without the new value, so
// a key is read again after each; all that happens to it meanwhile costs one more read.
type keys struct {
	client *redis.Client
	pubsub *pubsub
	prefix string // of the notifications' channels, as a glob
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan struct{}
	work   chan struct{} // tells the reader that there is something to do

	mu        sync.Mutex
	following map[*keyFollowing]struct{}
	dirty     map[*keyFollowing]*keyWork
}

// keyWork is what is to be read for one topic.
type keyWork struct {
	all   bool // every key that matches, and every one that did
	names map[string]struct{}
	done  []chan struct{} // closed when it has been read
}

type keyFollowing struct {
	owner         *keys
	topic         event.Topic
	sink          Sink
	notifications *pubsubFollowing

	// Guarded by owner.mu.
	round  int           // counts the connections on which notifications were confirmed
	shown  int           // the round of which the state was delivered
	ready  chan struct{} // closed when shown reaches round
	failed error         // why it will never be live

	// Of the reader alone.
	values map[string]value // that were delivered, by name
}

func newKeys(client *redis.Client, pubsub *pubsub, database int, log *slog.Logger) *keys {
	ctx, cancel := context.WithCancel(context.Background())
	k := &keys{
		client: client,
		pubsub: pubsub,
		// Written with a set, and a character that topics cannot have, so that it is never a
		// user's own glob of channels.
		prefix:    fmt.Sprintf("[_\x01]_keyspace@%d__:", database),
		log:       log,
		cancel:    cancel,
		done:      make(chan struct{}),
		work:      make(chan struct{}, 1),
		following: make(map[*keyFollowing]struct{}),
		dirty:     make(map[*keyFollowing]*keyWork),
	}
	go k.run(ctx)
	return k
}

func (k *keys) close() {
	k.cancel()
	<-k.done
}

// enableNotifications has Redis tell of changes, besides what others have set. It is
// done on each connection, since a restarted Redis may have forgotten it.
func (k *keys) enableNotifications(ctx context.Context) {
	current, err := k.client.ConfigGet(ctx, "notify-keyspace-events").Result()
	if err == nil {
		flags := current["notify-keyspace-events"]
		if strings.Contains(flags, "K") && strings.Contains(flags, "A") {
			return
		}
		err = k.client.ConfigSet(ctx, "notify-keyspace-events", flags+notificationFlags).Err()
	}
	if err != nil && ctx.Err() == nil {
		k.log.Warn("cannot switch on key notifications; for key topics, set notify-keyspace-events to "+notificationFlags+" in the configuration of redis", "error", err)
	}
}

func (k *keys) follow(topic event.Topic, sink Sink) Following {
	f := &keyFollowing{owner: k, topic: topic, sink: sink, ready: make(chan struct{}), values: make(map[string]value)}
	k.mu.Lock()
	k.following[f] = struct{}{}
	k.mu.Unlock()
	f.notifications = k.pubsub.followName(subscription{true, k.prefix + topic.Pattern}, keyReceiver{f})
	return f
}

// keyReceiver takes the notifications of one topic.
type keyReceiver struct{ f *keyFollowing }

// confirmed implements [receiver]: whatever was missed, the present state shows it.
func (r keyReceiver) confirmed(again bool) {
	f, k := r.f, r.f.owner
	if !again {
		f.sink.Begin(ID{})
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if f.shown == f.round && f.round > 0 {
		f.ready = make(chan struct{})
	}
	f.round++
	k.workFor(f).all = true
}

// message implements [receiver].
func (r keyReceiver) message(channel, _ string) {
	_, name, _ := strings.Cut(channel, "__:")
	if strings.HasPrefix(name, internalPrefix) {
		return
	}
	k := r.f.owner
	k.mu.Lock()
	defer k.mu.Unlock()
	k.workFor(r.f).names[name] = struct{}{}
}

// workFor returns the work list of a topic, and has it done. It needs k.mu.
func (k *keys) workFor(f *keyFollowing) *keyWork {
	w := k.dirty[f]
	if w == nil {
		w = &keyWork{names: make(map[string]struct{})}
		k.dirty[f] = w
	}
	select {
	case k.work <- struct{}{}:
	default:
	}
	return w
}

// Close implements [Following].
func (f *keyFollowing) Close() {
	f.notifications.Close()
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	delete(f.owner.following, f)
	delete(f.owner.dirty, f)
}

// Live implements [Following].
func (f *keyFollowing) Live(ctx context.Context) error {
	if err := f.notifications.Live(ctx); err != nil {
		return err
	}
	f.owner.mu.Lock()
	ready, failed := f.ready, f.failed
	f.owner.mu.Unlock()
	if failed != nil {
		return failed
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	return f.failed
}

// sync waits until a single key has been read again. A connection that brings no
// notifications any more is not found at once; until then the value may be an old one.
func (k *keys) sync(ctx context.Context, topic event.Topic) error {
	if topic.IsGlob() {
		return nil
	}
	done := make(chan struct{})
	k.mu.Lock()
	for f := range k.following {
		if f.topic == topic {
			w := k.workFor(f)
			w.names[topic.Name()] = struct{}{}
			w.done = append(w.done, done)
			k.mu.Unlock()
			select {
			case <-done:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	k.mu.Unlock()
	return nil
}

// run reads what is to be read until the context ends.
func (k *keys) run(ctx context.Context) {
	defer close(k.done)
	wait := newBackoff()
	for {
		select {
		case <-k.work:
		case <-ctx.Done():
			return
		}
		k.mu.Lock()
		dirty := k.dirty
		k.dirty = make(map[*keyFollowing]*keyWork)
		k.mu.Unlock()
		failed := false
		for f, w := range dirty {
			err := k.show(ctx, f, w)
			if err == nil {
				for _, done := range w.done {
					close(done)
				}
			}
			if err != nil {
				if !failed && ctx.Err() == nil {
					k.log.Warn("keys cannot be read; trying again", "topic", f.topic.String(), "error", err)
				}
				failed = true
				k.putBack(f, w)
			}
		}
		if !failed {
			wait.Reset()
			continue
		}
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
			return
		}
	}
}

// putBack has work done again that failed.
func (k *keys) putBack(f *keyFollowing, w *keyWork) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.following[f]; !ok {
		return
	}
	again := k.workFor(f)
	again.all = again.all || w.all
	again.done = append(again.done, w.done...)
	for name := range w.names {
		again.names[name] = struct{}{}
	}
}

// show reads keys of a topic and delivers those whose value is not the one delivered
// last.
func (k *keys) show(ctx context.Context, f *keyFollowing, w *keyWork) error {
	k.mu.Lock()
	round := f.round
	k.mu.Unlock()
	var tooMany error
	if w.all {
		err := k.addAll(ctx, f, w)
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
			if err := k.showBatch(ctx, f, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if err := k.showBatch(ctx, f, batch); err != nil {
		return err
	}
	if w.all {
		k.finish(f, round, tooMany)
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
func (k *keys) finish(f *keyFollowing, round int, failed error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f.failed = failed
	if f.shown < round {
		f.shown = round
		if f.shown == f.round {
			close(f.ready)
		}
	}
}

// addAll adds the names of all keys that match the topic, and of all that did.
func (k *keys) addAll(ctx context.Context, f *keyFollowing, w *keyWork) error {
	for name := range f.values {
		w.names[name] = struct{}{}
	}
	if !f.topic.IsGlob() {
		w.names[f.topic.Name()] = struct{}{}
		return nil
	}
	found := 0
	scan := k.client.Scan(ctx, 0, f.topic.Pattern, scanCount).Iterator()
	for scan.Next(ctx) {
		if strings.HasPrefix(scan.Val(), internalPrefix) {
			continue
		}
		w.names[scan.Val()] = struct{}{}
		if found++; found > MaxKeys {
			return tooManyKeys(f.topic)
		}
	}
	return scan.Err()
}

func tooManyKeys(t event.Topic) error {
	return fmt.Errorf("%w: %s matches more than %d; use a narrower glob", ErrTooManyKeys, t, MaxKeys)
}

func (k *keys) showBatch(ctx context.Context, f *keyFollowing, names []string) error {
	if len(names) == 0 {
		return nil
	}
	read, err := readValues(ctx, k.client, names)
	if err != nil {
		return err
	}
	for i, name := range names {
		f.deliver(name, read[i])
	}
	return nil
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
