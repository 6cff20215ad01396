package hub_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/hub"
	"sluice/internal/test/redistest"
)

// addAuto adds entries whose ids Redis chooses, and waits until a client has them.
func addAuto(server *redistest.Server, s *testClient, prefix string, first, last int) {
	s.t.Helper()
	for n := first; n <= last; n++ {
		server.Do("XADD", "s", "*", "data", fmt.Sprint(prefix, n))
	}
	s.awaitData(fmt.Sprint(prefix, last))
}

// beginLife runs a command after which the stream has another life, and waits until a client has
// the gap.
func beginLife(server *redistest.Server, s *testClient, command ...any) {
	s.t.Helper()
	gaps := len(s.gaps())
	server.Do(command...)
	s.await(fmt.Sprint("a gap after ", command[0]), func() bool { return len(s.gaps()) > gaps })
}

func dump(t *testing.T, server *redistest.Server) string {
	t.Helper()
	text, err := server.Client().Dump(t.Context(), "s").Result()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Ids and ordinals can occur again in another life. A client of an earlier life gets a gap, also if
// no frame of that life is left in the journal.
func TestStream_CursorOfEarlierLifeIsGapAfterEviction(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		events int // in the journal
		change func(t *testing.T, server *redistest.Server, s *testClient) (id string)
	}{
		{"the journal begins at its ordinal", 3, func(_ *testing.T, server *redistest.Server, s *testClient) string {
			addAuto(server, s, "old", 1, 5)
			id := s.lastID()
			addAuto(server, s, "missed", 6, 7)
			endLife(server, s)
			addAuto(server, s, "new", 1, 8)
			return id
		}},
		{"so many entries were trimmed", 3, func(_ *testing.T, server *redistest.Server, s *testClient) string {
			addAuto(server, s, "old", 1, 5)
			id := s.lastID()
			addAuto(server, s, "missed", 6, 7)
			endLife(server, s)
			addAuto(server, s, "new", 1, 11)
			server.Do("XTRIM", "s", "MAXLEN", 6)
			return id
		}},
		{"the life begins with a gap of that size", 3, func(t *testing.T, server *redistest.Server, s *testClient) string {
			addAuto(server, s, "old", 1, 5)
			id := s.lastID()
			addAuto(server, s, "missed", 6, 7)
			endLife(server, s)
			transact(t, server, func(tx redis.Pipeliner) {
				for range 5 {
					tx.XAdd(context.Background(), &redis.XAddArgs{Stream: "s", ID: "*", Values: []any{"data", "trimmed"}})
				}
				tx.XTrimMaxLen(context.Background(), "s", 0)
			})
			addAuto(server, s, "new", 6, 6)
			return id
		}},
		{"an older copy ends with its entry", 3, func(t *testing.T, server *redistest.Server, s *testClient) string {
			addAuto(server, s, "", 1, 5)
			id, copied := s.lastID(), dump(t, server)
			addAuto(server, s, "missed", 6, 10)
			beginLife(server, s, "RESTORE", "s", 0, copied, "REPLACE")
			addAuto(server, s, "new", 6, 6)
			return id
		}},
		{"an older copy has its entry", 3, func(t *testing.T, server *redistest.Server, s *testClient) string {
			addAuto(server, s, "", 1, 3)
			id := s.lastID()
			addAuto(server, s, "", 4, 5)
			copied := dump(t, server)
			addAuto(server, s, "missed", 6, 10)
			beginLife(server, s, "RESTORE", "s", 0, copied, "REPLACE")
			addAuto(server, s, "new", 6, 11)
			return id
		}},
		{"it is renamed back over another life", 3, func(_ *testing.T, server *redistest.Server, s *testClient) string {
			addAuto(server, s, "", 1, 5)
			id := s.lastID()
			beginLife(server, s, "RENAME", "s", "away")
			addAuto(server, s, "missed", 1, 2)
			beginLife(server, s, "RENAME", "away", "s")
			addAuto(server, s, "", 6, 9)
			return id
		}},
		{"the journal has its entry again", 100, func(_ *testing.T, server *redistest.Server, s *testClient) string {
			addAuto(server, s, "", 1, 5)
			id := s.lastID()
			beginLife(server, s, "RENAME", "s", "away")
			addAuto(server, s, "missed", 1, 2)
			beginLife(server, s, "RENAME", "away", "s")
			return id
		}},
		{"another life begins at its position", 100, func(t *testing.T, server *redistest.Server, s *testClient) string {
			addAuto(server, s, "", 1, 5)
			copied := dump(t, server)
			beginLife(server, s, "RENAME", "s", "away")
			beginLife(server, s, "RENAME", "away", "s")
			id := s.lastID()
			addAuto(server, s, "missed", 6, 7)
			beginLife(server, s, "RESTORE", "s", 0, copied, "REPLACE")
			return id
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g := redisGateway(t, server, history(tt.events))
			request := hub.Request{Topics: topics(t, "stream:s")}
			s := g.subscribe(t, request)
			defer s.close()
			request.IDs = []string{tt.change(t, server, s)}
			back := g.subscribe(t, request)
			defer back.close()
			server.Do("XADD", "s", "*", "data", "last")
			back.awaitData("last")
			if len(back.gaps()) == 0 || back.opened.Resumed {
				t.Errorf("a client with %s received %q, resumed %t, want a gap", request.IDs, back.texts(), back.opened.Resumed)
			}
		})
	}
}

// The same holds for a client that is connected and does not read.
func TestStream_SlowClientOfEarlierLifeGetsGap(t *testing.T) {
	t.Parallel()
	for _, isDeleted := range []bool{true, false} {
		t.Run(fmt.Sprint("deleted ", isDeleted), func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			g := redisGateway(t, server, history(3))
			request := hub.Request{Topics: topics(t, "stream:s")}
			s, slow := g.subscribe(t, request), g.subscribe(t, request)
			defer s.close()
			defer slow.close()
			for n := range 5 {
				addAuto(server, s, "", n, n)
				slow.awaitData(fmt.Sprint(n))
			}
			copied := dump(t, server)
			addAuto(server, s, "missed", 6, 10)
			if isDeleted {
				endLife(server, s)
			} else {
				beginLife(server, s, "RESTORE", "s", 0, copied, "REPLACE")
			}
			addAuto(server, s, "new", 1, 8)
			slow.awaitData("new8")
			if len(slow.gaps()) == 0 {
				t.Errorf("the slow client received %q, want a gap", slow.texts())
			}
		})
	}
}

// A replay from the beginning of a life has no entry that shows that the stream is still the same.
func TestStream_LifeEndsDuringReplayFromItsBeginning(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g := redisGateway(t, server, history(3))
	request := hub.Request{Topics: topics(t, "stream:s")}
	s, early := g.subscribe(t, request), g.subscribe(t, request)
	defer s.close()
	request.IDs = []string{early.openID}
	early.close()
	addAuto(server, s, "old", 1, 9)
	back := g.subscribe(t, request)
	defer back.close()
	endLife(server, s)
	addAuto(server, s, "new", 1, 8)
	back.awaitData("new8")
	if texts := back.texts(); !slices.Contains(texts, "gap") {
		t.Errorf("received %q, want a gap", texts)
	}
}

// A gateway that follows a stream since the middle of its first life knows the life that ended then,
// but not when it began.
func TestStream_BeginningBeforeGatewayFollowedIsGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	request := hub.Request{Topics: topics(t, "stream:s")}
	early := redisGateway(t, server, history(100)).subscribe(t, request)
	id := early.lastID()
	early.close()
	for n := range 10 {
		server.Do("XADD", "s", "MAXLEN", 5, "*", "data", n)
	}
	g := redisGateway(t, server, history(100))
	s := g.subscribe(t, request)
	defer s.close()
	endLife(server, s)
	addAuto(server, s, "new", 1, 1)
	request.IDs = []string{id}
	back := g.subscribe(t, request)
	defer back.close()
	back.awaitData("new1")
	back.checkTexts("after the deletion", "gap", "new1")
}

// A stream was deleted once, and two gateways saw it. A client that has nothing of the new life moves
// between them without a gap.
func TestStream_RoamsAfterDeletion(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g, other := redisGateway(t, server, history(3)), redisGateway(t, server, history(3))
	request := hub.Request{Topics: topics(t, "stream:s")}
	here, there := g.subscribe(t, request), other.subscribe(t, request)
	defer here.close()
	defer there.close()
	addAuto(server, here, "old", 1, 10)
	there.awaitData("old10")
	beginLife(server, here, "DEL", "s")
	there.await("the gap", func() bool { return len(there.gaps()) == 1 })
	request.IDs = []string{here.lastID()}
	for range 2 {
		for _, node := range []gateway{other, g} {
			c := node.subscribe(t, request)
			request.IDs = []string{c.lastID()}
			if !c.opened.Resumed {
				t.Errorf("did not resume: %q", c.texts())
			}
			c.close()
		}
	}
	addAuto(server, here, "new", 1, 5)
	for _, node := range []gateway{other, g} {
		c := node.subscribe(t, request)
		defer c.close()
		c.awaitData("new5")
		c.checkTexts("after the new life has begun", "new1", "new2", "new3", "new4", "new5")
	}
}

// One gateway sees a stream deleted and created again as two changes, the other as one. The beginning
// at the first is not one that the other knows.
func TestStream_LivesSeenDifferentlyAreGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	g, behind := redisGateway(t, server, history(100)), newGateway(t, sourceAt(t, "redis://"+proxy.Addr(), history(100)), history(100))
	request := hub.Request{Topics: topics(t, "stream:s")}
	here, there := g.subscribe(t, request), behind.subscribe(t, request)
	defer here.close()
	defer there.close()
	addAuto(server, here, "old", 1, 5)
	there.awaitData("old5")
	release := proxy.Hold(t)
	beginLife(server, here, "DEL", "s")
	request.IDs = []string{here.lastID()}
	server.Do("XADD", "s", "*", "data", "missed")
	time.AfterFunc(time.Second/10, release)
	there.awaitData("missed")
	beginLife(server, there, "DEL", "s")
	addAuto(server, there, "new", 1, 1)
	back := behind.subscribe(t, request)
	defer back.close()
	back.awaitData("new1")
	back.checkTexts("at the other gateway", "gap", "new1")
}

// A gateway did not see the end of an earlier life, but a cursor of it is older than the present life.
func TestStream_CursorOfMissedEndIsGap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	g, behind := redisGateway(t, server, history(3)), newGateway(t, sourceAt(t, "redis://"+proxy.Addr(), history(3)), history(3))
	request := hub.Request{Topics: topics(t, "stream:s")}
	here, there := g.subscribe(t, request), behind.subscribe(t, request)
	defer here.close()
	defer there.close()
	addAuto(server, here, "old", 1, 5)
	there.awaitData("old5")
	release := proxy.Hold(t)
	addAuto(server, here, "old", 6, 8)
	request.IDs = []string{here.lastID()}
	addAuto(server, here, "missed", 9, 9)
	beginLife(server, here, "DEL", "s")
	addAuto(server, here, "new", 1, 8)
	time.AfterFunc(time.Second/10, release)
	there.awaitData("new8")
	addAuto(server, there, "new", 9, 11) // so the journal begins after the eighth entry
	back := behind.subscribe(t, request)
	defer back.close()
	back.awaitData("new11")
	if len(back.gaps()) == 0 {
		t.Errorf("received %q, want a gap", back.texts())
	}
}

// A stream is renamed away and back, and then replaced by an older copy. A client that saw it
// disappear at one gateway does not receive its old entries again at the other.
func TestStream_OldEntriesAreNotRepeatedAtAnotherNode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	g, other := redisGateway(t, server, history(100)), redisGateway(t, server, history(100))
	request := hub.Request{Topics: topics(t, "stream:s")}
	here, there := g.subscribe(t, request), other.subscribe(t, request)
	defer here.close()
	defer there.close()
	addAuto(server, here, "", 1, 5)
	there.awaitData("5")
	copied := dump(t, server)
	beginLife(server, here, "RENAME", "s", "away")
	there.await("the gap", func() bool { return len(there.gaps()) == 1 })
	request.IDs = []string{here.lastID()}
	beginLife(server, there, "RENAME", "away", "s")
	addAuto(server, there, "", 6, 8)
	beginLife(server, there, "RESTORE", "s", 0, copied, "REPLACE")
	addAuto(server, there, "new", 1, 1)
	back := other.subscribe(t, request)
	defer back.close()
	back.awaitData("new1")
	if texts := back.texts(); texts[0] != "gap" || slices.ContainsFunc(texts, func(s string) bool { return s <= "5" }) {
		t.Errorf("received %q, want a gap and then no entry before it", texts)
	}
}
