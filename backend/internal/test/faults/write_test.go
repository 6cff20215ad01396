package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/test/gatewaytest"
)

// write replaces one publish.
type write struct {
	do   func(ctx context.Context, data []byte) error // data is the next message
	done chan error
}

// replace runs a function instead of the next publish to the topic of a kind, on the goroutine of
// the publisher, and waits for it.
func (r *rig) replace(k event.Kind, do func(ctx context.Context, data []byte) error) {
	r.t.Helper()
	w := write{do, make(chan error, 1)}
	for _, wait := range []func() error{
		func() error {
			select {
			case r.instead[k] <- w:
				return nil
			case <-time.After(testTimeout):
				return fmt.Errorf("no publish to a %s", k)
			}
		},
		func() error { return <-w.done },
	} {
		if err := wait(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// entryIDs are the ids that the publisher sets if Redis does not choose them.
type entryIDs struct {
	given bool
	last  int64
}

func (i *entryIDs) next() string {
	i.last++
	return fmt.Sprintf("%d-0", i.last)
}

// batch is a transaction that adds messages to the stream and can do more.
type batch struct {
	redis.Pipeliner
	rig  *rig
	ctx  context.Context //nolint:containedctx // a batch ends before its call
	name string
	due  []byte // the next message; nil if it was added
	id   event.StreamID
}

// transact runs a transaction instead of the next publish to the stream. It must add at least one
// entry.
func (r *rig) transact(build func(b *batch)) {
	r.t.Helper()
	r.replace(event.Stream, func(ctx context.Context, data []byte) error {
		name := r.name(event.Stream)
		b := &batch{rig: r, ctx: ctx, name: name, due: data}
		if info, err := r.client.XInfoStream(ctx, name).Result(); err == nil {
			b.id, _ = event.ParseStreamID(info.LastGeneratedID)
		}
		_, err := r.client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
			b.Pipeliner = tx
			build(b)
			return nil
		})
		return err
	})
}

// restart deletes the stream. The entries of the next life have the ids from 1-0.
func (b *batch) restart() {
	b.Del(b.ctx, b.name)
	b.rig.ids = entryIDs{given: true}
}

// add adds the next messages and returns their ids.
func (b *batch) add(count int) []string {
	ids := make([]string, count)
	for i := range ids {
		data := b.due
		if b.due = nil; data == nil {
			data = b.rig.publication(event.Stream).Next(size)
		}
		b.id = b.id.Next()
		ids[i] = b.id.String()
		if b.rig.ids.given {
			ids[i] = b.rig.ids.next()
		}
		b.XAdd(b.ctx, &redis.XAddArgs{Stream: b.name, ID: ids[i], Values: []any{"data", data}})
	}
	return ids
}

// still runs a function while no message is published and every subscriber has all messages.
func (r *rig) still(do func()) {
	r.t.Helper()
	r.quiet.Lock()
	defer r.quiet.Unlock()
	for _, s := range r.subscribers {
		if !s.lazy {
			await(r.t, s.name+" has everything", func() bool { return len(s.books.Behind()) == 0 })
		}
	}
	do()
}

// aclPattern returns an ACL pattern for a name. It must not contain a space.
func aclPattern(name string) string {
	return strings.ReplaceAll(name, " ", "?")
}

// forbid revokes the permission for the topic of a kind and waits until the gateways reject it.
func (r *rig) forbid(kind event.Kind) {
	r.t.Helper()
	rules := []any{"ACL", "SETUSER", "gateway"}
	if kind == event.Channel {
		rules = append(rules, "resetchannels", "&__*", "&bench*")
	} else { // without the channels, because Redis would close subscribed connections
		rules = append(rules, "resetkeys", "~__sluice__:*", "~bench*")
		for _, p := range r.publications {
			if k := p.Topic.Kind; k != kind && k != event.Channel {
				rules = append(rules, "~"+aclPattern(p.Topic.Name()))
			}
		}
	}
	r.do(rules...)
	r.awaitStatus(kind, http.StatusForbidden)
}

// allow restores all permissions of the gateways.
func (r *rig) allow() {
	r.t.Helper()
	r.do("ACL", "SETUSER", "gateway", "allkeys", "allchannels")
}

// awaitStatus waits until each gateway answers a new subscription to the topic of a kind with a
// status.
func (r *rig) awaitStatus(k event.Kind, status int) {
	r.t.Helper()
	for i, g := range r.gateways {
		await(r.t, fmt.Sprintf("gateway %d answers %d", i, status), func() bool { return r.status(g, k) == status })
	}
}

func (r *rig) status(g *gatewaytest.Gateway, k event.Kind) int {
	ctx, cancel := context.WithTimeout(r.t.Context(), testTimeout)
	defer cancel() // ends the stream
	query := url.Values{k.String(): {r.name(k)}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL()+"/events?"+query.Encode(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := r.clients[0].Do(request)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// killConnections makes Redis close the gateways' connections that have a flag of CLIENT LIST. It
// waits until there is one.
func (r *rig) killConnections(flag string) {
	r.t.Helper()
	await(r.t, "a connection with the flag "+flag, func() bool {
		killed := false
		for _, id := range r.connections(flag) {
			killed = r.client.ClientKillByFilter(r.t.Context(), "ID", id).Val() > 0 || killed
		}
		return killed
	})
}

// connections returns the ids of the gateways' connections that have a flag.
func (r *rig) connections(flag string) []string {
	r.t.Helper()
	list, err := r.client.ClientList(r.t.Context()).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []string
	for line := range strings.Lines(list) {
		fields := make(map[string]string)
		for field := range strings.FieldsSeq(line) {
			name, value, _ := strings.Cut(field, "=")
			fields[name] = value
		}
		if fields["user"] == "gateway" && strings.Contains(fields["flags"], flag) {
			ids = append(ids, fields["id"])
		}
	}
	return ids
}

// replaceKey replaces the key by a value of another type until every steady subscriber has received
// it.
func (r *rig) replaceKey(commands ...[]any) {
	r.t.Helper()
	r.still(func() {
		before := make(map[*subscriber]int64)
		for _, s := range r.subscribers {
			if strings.HasPrefix(s.name, "at gateway") && strings.Contains(s.name, "key:") {
				before[s] = s.foreign.Load()
			}
		}
		_, err := r.client.TxPipelined(r.t.Context(), func(tx redis.Pipeliner) error {
			tx.Del(r.t.Context(), r.name(event.Key))
			for _, c := range commands {
				tx.Do(r.t.Context(), c...)
			}
			return nil
		})
		if err != nil {
			r.t.Fatal(err)
		}
		for s, n := range before {
			await(r.t, s.name+" has the value of another type", func() bool { return s.foreign.Load() > n })
		}
	})
}
