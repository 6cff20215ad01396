package source

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
)

// notificationFlags are those of notify-keyspace-events that tell of every change of a
// value: in the channel of the key, all kinds of commands, expiry and eviction too.
const notificationFlags = "KA"

// streamNotifications, and the prefix of [keys], begin globs of the channels in which
// Redis notifies of changes of a key. They are written with a set, and a character that
// topics cannot have, so that they are never a user's own globs, nor each other's. A
// cluster has but one database.
const streamNotifications = "[_\x02]_keyspace@0__:"

// keys follows the values of keys. Redis notifies of a change without the new value, so
// a key is read again after each; all that happens to it meanwhile costs one more read.
// Each topic has a reader of its own, so that a server that does not answer holds up
// nothing but its own keys. Servers notify of their own keys only, so all are listened to.
type keys struct {
	client  redis.UniversalClient
	router  *router
	prefix  string // of the notifications' channels, as a glob
	log     *slog.Logger
	ctx     context.Context // of the readers
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	following map[event.Topic]*keyFollowing
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
	notifications *route
	cancel        context.CancelFunc
	wake          chan struct{} // tells the reader that there is work

	mu     sync.Mutex
	work   keyWork
	round  int           // counts the confirmations of notifications
	shown  int           // the round of which the state was delivered
	ready  chan struct{} // closed when shown reaches round
	failed error         // why it will never be live

	// Of the reader alone.
	values map[string]value // that were delivered, by name
}

func newKeys(client redis.UniversalClient, router *router, database int, log *slog.Logger) *keys {
	k := &keys{
		client:    client,
		router:    router,
		prefix:    fmt.Sprintf("[_\x01]_keyspace@%d__:", database),
		log:       log,
		following: make(map[event.Topic]*keyFollowing),
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

func (k *keys) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.running.Wait()
}

// enableNotifications has a server tell of changes, besides what others have set. It is
// done on each connection, since a restarted Redis may have forgotten it.
func (k *keys) enableNotifications(ctx context.Context, client *redis.Client) {
	current, err := client.ConfigGet(ctx, "notify-keyspace-events").Result()
	if err == nil {
		flags := current["notify-keyspace-events"]
		if strings.Contains(flags, "K") && strings.Contains(flags, "A") {
			return
		}
		err = client.ConfigSet(ctx, "notify-keyspace-events", flags+notificationFlags).Err()
	}
	if err != nil && ctx.Err() == nil {
		k.log.Warn("cannot switch on key notifications; for key topics, and quick streams on a cluster, set notify-keyspace-events to "+notificationFlags+" in the configuration of redis", "error", err)
	}
}

func (k *keys) follow(topic event.Topic, sink Sink) Following {
	ctx, cancel := context.WithCancel(k.ctx)
	f := &keyFollowing{
		owner: k, topic: topic, sink: sink, cancel: cancel,
		wake: make(chan struct{}, 1), ready: make(chan struct{}),
		work: newKeyWork(), values: make(map[string]value),
	}
	f.notifications = k.router.route(everywhere, keyReceiver{f}, subscription{glob, k.prefix + topic.Pattern})
	k.mu.Lock()
	k.following[topic] = f
	if !k.closed {
		k.running.Go(func() { f.run(ctx) })
	}
	k.mu.Unlock()
	f.notifications.start()
	return f
}

func newKeyWork() keyWork {
	return keyWork{names: make(map[string]struct{})}
}

// keyReceiver takes the notifications of one topic.
type keyReceiver struct{ f *keyFollowing }

// confirmed implements [routeReceiver]: whatever was missed, the present state shows it.
func (r keyReceiver) confirmed(again bool, _ *Mark) {
	f := r.f
	if !again {
		f.sink.Begin(event.StreamID{})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shown == f.round && f.round > 0 {
		f.ready = make(chan struct{})
	}
	f.round++
	f.work.all = true
	f.signal()
}

// message implements [routeReceiver].
func (r keyReceiver) message(channel, _ string) {
	_, name, _ := strings.Cut(channel, "__:")
	if strings.HasPrefix(name, internalPrefix) {
		return
	}
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.f.work.names[name] = struct{}{}
	r.f.signal()
}

// signal has the work done.
func (f *keyFollowing) signal() {
	select {
	case f.wake <- struct{}{}:
	default: // it will be
	}
}

// Close implements [Following].
func (f *keyFollowing) Close() {
	f.notifications.Close()
	f.cancel()
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	if f.owner.following[f.topic] == f {
		delete(f.owner.following, f.topic)
	}
}

// Live implements [Following].
func (f *keyFollowing) Live(ctx context.Context) error {
	if err := f.notifications.Live(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	ready, failed := f.ready, f.failed
	f.mu.Unlock()
	if failed != nil {
		return failed
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// sync waits until a single key has been read again, of a glob those that notifications
// have named. A connection that brings no notifications any more is not found at once;
// until then the value may be an old one.
func (k *keys) sync(ctx context.Context, topic event.Topic) error {
	k.mu.Lock()
	f := k.following[topic]
	k.mu.Unlock()
	if f == nil {
		return nil
	}
	done := make(chan struct{})
	f.mu.Lock()
	if !topic.IsGlob() {
		f.work.names[topic.Name()] = struct{}{}
	}
	f.work.done = append(f.work.done, done)
	f.signal()
	f.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run reads what is to be read until the context ends.
func (f *keyFollowing) run(ctx context.Context) {
	wait := newBackoff()
	failed := false
	for {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return
		}
		f.mu.Lock()
		w := f.work
		f.work = newKeyWork()
		f.mu.Unlock()
		err := f.show(ctx, &w)
		if err == nil {
			for _, done := range w.done {
				close(done)
			}
			failed = false
			wait.Reset()
			continue
		}
		if !failed && ctx.Err() == nil {
			f.owner.log.Warn("keys cannot be read; trying again", "topic", f.topic.String(), "error", err)
		}
		failed = true
		f.putBack(w)
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
			return
		}
	}
}

// putBack has work done again that failed.
func (f *keyFollowing) putBack(w keyWork) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.work.all = f.work.all || w.all
	f.work.done = append(f.work.done, w.done...)
	for name := range w.names {
		f.work.names[name] = struct{}{}
	}
	f.signal()
}
