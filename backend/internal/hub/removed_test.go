package hub_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/test/redistest"
)

// stream.open says that nothing is missing only if no gap follows in the replay.
func TestStream_NotResumedIfReplayHasGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(3))
	transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 20, "") })
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Start: true})
	s.await("entry 5", func() bool { return slices.Contains(s.data(), "5") })
	id := s.got[4].id
	s.close()
	for _, deleted := range []string{"2-0", "10-0"} {
		server.Do("XDEL", "s", deleted)
		want := deleted == "2-0" // the client has received it
		back := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{id}})
		back.awaitData("20")
		if resumed := len(back.gaps()) == 0; resumed != want {
			t.Errorf("after XDEL %s: got gaps %v", deleted, back.gaps())
		}
		back.checkResumed("after XDEL "+deleted, want)
		back.close()
	}
}

// Entries that are removed during a replay are a gap, also of one that was deleted before the newest
// deleted one, and for a client that had no entry before.
func TestStream_DeletionDuringReplayIsGap(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]hub.Request{"last": {Last: 200}, "start": {Start: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g := redisGateway(t, server, history(3))
			transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 200, "") })
			server.Do("XDEL", "s", "198-0")
			req.Topics = topics(t, "stream:s")
			s := g.subscribe(t, req)
			defer s.close()
			s.next()
			server.Do("XDEL", "s", "150-0")
			s.awaitData("200")
			var got, announced int
			for _, f := range s.got {
				if f.isGap() {
					announced++
				} else if got++; f.data == "151" && announced == 0 {
					t.Error("150 is missing without a gap before 151")
				}
			}
			if got != 198 {
				t.Errorf("got %d entries, want 198", got)
			}
		})
	}
}

// A fresh subscriber gets entries that the stream has now, not those of an earlier life that the
// journal still holds.
func TestStream_LastSendsPresentLife(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(100))
	transact(t, server, func(tx redis.Pipeliner) { addAll(tx, 1, 3, "old") })
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	defer s.close()
	server.Do("XADD", "s", "*", "data", "end", "event", event.StreamEnd)
	s.awaitData("end")
	server.Do("DEL", "s")
	g.settle(t, "stream:s")
	fresh := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 10})
	defer fresh.close()
	fresh.read()
	fresh.checkTexts("after DEL")
	server.Do("XADD", "s", "*", "data", "new")
	fresh.awaitData("new")
	fresh.checkTexts("of the new life", "new")
	again := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Last: 10})
	defer again.close()
	again.awaitData("new")
	again.checkTexts("of a later subscriber", "new")
}

// A stream whose end was restored, as by RENAME back, has ended: a gap after it in the journal does
// not hide that.
func TestStream_RestoredEndIsTheEnd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(100))
	transact(t, server, func(tx redis.Pipeliner) {
		addAll(tx, 1, 1, "")
		tx.XAdd(context.Background(), &redis.XAddArgs{Stream: "s", ID: "2-0", Values: []any{"data", "end", "event", event.StreamEnd}})
	})
	s := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s"), Start: true})
	s.awaitData("end")
	s.close()
	server.Do("RENAME", "s", "other")
	g.settle(t, "stream:s")
	server.Do("RENAME", "other", "s")
	g.settle(t, "stream:s")
	fresh := g.subscribe(t, hub.Request{Topics: topics(t, "stream:s")})
	defer fresh.close()
	fresh.awaitData("end")
	fresh.checkTexts("a fresh subscriber", "end")
	if _, err := g.trySubscribe(t, hub.Request{Topics: topics(t, "stream:s"), IDs: []string{"2-0"}}); !errors.Is(err, hub.ErrFinished) {
		t.Errorf("a cursor at the end: got error %v, want %v", err, hub.ErrFinished)
	}
}
