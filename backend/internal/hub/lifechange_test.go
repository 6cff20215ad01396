package hub_test

import (
	"context"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/internal/hub"
	"sluice/internal/test/redistest"
)

// lifeTest has a gateway with a journal of three events, and a client that follows the stream.
type lifeTest struct {
	*testing.T
	server *redistest.Server
	node   gateway
	steady *testClient
}

func newLifeTest(t *testing.T) *lifeTest {
	t.Parallel()
	f := &lifeTest{T: t, server: redistest.Start(t)}
	f.node = redisGateway(t, f.server, history(3))
	f.steady = f.subscribe()
	return f
}

func (f *lifeTest) subscribe(ids ...string) *testClient {
	c := f.node.subscribe(f, hub.Request{Topics: topics(f, "stream:s"), IDs: ids})
	f.Cleanup(c.close)
	return c
}

// leave subscribes and closes the connection at once. It returns the id.
func (f *lifeTest) leave() string { return f.subscribe().openID }

// do executes commands in one transaction, and waits until the gateway has read the result.
func (f *lifeTest) do(commands func(tx redis.Pipeliner)) {
	transact(f, f.server, commands)
	f.node.settle(f, "stream:s")
	f.steady.read()
}

func (f *lifeTest) add(first, last int, prefix string) {
	f.do(func(tx redis.Pipeliner) { addAll(tx, first, last, prefix) })
}

// replace deletes the stream and adds entries in one transaction.
func (f *lifeTest) replace(first, last int, prefix string) {
	f.do(func(tx redis.Pipeliner) {
		tx.Del(context.Background(), "s")
		addAll(tx, first, last, prefix)
	})
}

func (f *lifeTest) wantGapBefore(c *testClient, what string) {
	f.Helper()
	c.read()
	texts := c.texts()
	if i := slices.Index(texts, what); i < 0 || !slices.Contains(texts[:i], "gap") {
		f.Errorf("received %q, want a gap before %s", texts, what)
	}
}

// The entry of the cursor is not there to be compared, since the present life had one with its id that
// was deleted.
func TestStream_DeletedEntryOfLaterLifeIsGap(t *testing.T) {
	f := newLifeTest(t)
	f.add(1, 1, "a")
	id := f.leave()
	f.add(2, 4, "a")
	f.do(func(tx redis.Pipeliner) { tx.Del(context.Background(), "s") })
	f.add(1, 4, "b")
	f.do(func(tx redis.Pipeliner) { tx.XDel(context.Background(), "s", "1-0") })
	f.wantGapBefore(f.subscribe(id), "b2")
}

// A replay from a position whose ordinal is unknown must not mix two lives.
func TestStream_LifeEndsDuringReplayFromUncountedPosition(t *testing.T) {
	f := newLifeTest(t)
	f.add(1, 2, "a")
	f.replace(1, 2, "b")
	id := f.steady.lastID()
	f.add(3, 9, "b")
	c := f.subscribe(id)
	c.checkTexts("at once", "gap")
	c.got = nil
	transact(f, f.server, func(tx redis.Pipeliner) {
		tx.Del(context.Background(), "s")
		addAll(tx, 1, 20, "c")
	})
	c.read()
	texts := c.texts()
	isNew := func(text string) bool { return text[0] == 'c' }
	if i := slices.IndexFunc(texts, isNew); i < 0 || !slices.Contains(texts[:i], "gap") || !isNew(texts[len(texts)-1]) {
		f.Errorf("received %q, want a gap before the new life, and nothing else after it", texts)
	}
}

// All entries were trimmed, so the gateway has none to compare. The count of removed entries shows that
// the stream is another one.
func TestStream_ReplacedAfterAllEntriesWereTrimmed(t *testing.T) {
	f := newLifeTest(t)
	f.do(func(tx redis.Pipeliner) {
		addAll(tx, 1, 2, "a")
		tx.XTrimMaxLen(context.Background(), "s", 0)
	})
	c := f.subscribe()
	f.replace(1, 3, "b")
	f.wantGapBefore(c, "b3")
}

// The entry at the position changes twice.
func TestStream_ReplacedTwiceWithSameIDs(t *testing.T) {
	f := newLifeTest(t)
	f.add(1, 2, "a")
	f.replace(1, 2, "b")
	c := f.subscribe()
	f.replace(1, 3, "c")
	f.wantGapBefore(c, "c3")
}

// A client that subscribes after the gap of a new life gets the next gap too.
func TestStream_TrimmedAfterReplacement(t *testing.T) {
	f := newLifeTest(t)
	f.add(1, 2, "a")
	f.replace(1, 2, "b")
	c := f.subscribe()
	f.do(func(tx redis.Pipeliner) {
		addAll(tx, 3, 5, "b")
		tx.XTrimMaxLen(context.Background(), "s", 1)
	})
	f.wantGapBefore(c, "b5")
}

// Two lives begin at the same position, which has an id.
func TestStream_GapIDOfEarlierLifeIsGap(t *testing.T) {
	f := newLifeTest(t)
	f.add(1, 1, "a")
	f.replace(1, 1, "b")
	id := f.steady.lastID()
	f.add(2, 5, "b")
	f.do(func(tx redis.Pipeliner) { tx.Del(context.Background(), "s") })
	f.add(1, 1, "c")
	f.replace(1, 1, "d")
	f.add(2, 2, "d")
	f.wantGapBefore(f.subscribe(id), "d2")
}

// An entry was deleted from a life that began unseen. It is after the position of the first gap.
func TestStream_HoleInNewLifeIsGap(t *testing.T) {
	f := newLifeTest(t)
	f.add(1, 3, "a")
	f.steady.got = nil
	f.do(func(tx redis.Pipeliner) {
		tx.Del(context.Background(), "s")
		addAll(tx, 11, 14, "b")
		tx.XDel(context.Background(), "s", "13-0")
	})
	f.steady.checkTexts("the new life", "gap", "b11", "b12", "gap", "b14")
}

// A life begins with a gap. A client that has the id of that gap resumes after it.
func TestStream_ResumesAfterGapAtBeginning(t *testing.T) {
	f := newLifeTest(t)
	f.add(1, 2, "a")
	f.do(func(tx redis.Pipeliner) { tx.Del(context.Background(), "s") })
	f.do(func(tx redis.Pipeliner) {
		addAll(tx, 11, 15, "b")
		tx.XTrimMaxLen(context.Background(), "s", 0)
	})
	id := f.leave()
	f.add(21, 26, "b")
	c := f.subscribe(id)
	c.read()
	c.checkTexts("after the gap", "b21", "b22", "b23", "b24", "b25", "b26")
}

// The new life is trimmed already. One gap covers that too.
func TestStream_CursorOfEarlierLifeIsOneGap(t *testing.T) {
	f := newLifeTest(t)
	f.add(1, 5, "a")
	id := f.steady.lastID()
	f.add(6, 6, "a")
	f.do(func(tx redis.Pipeliner) { tx.Del(context.Background(), "s") })
	f.add(11, 20, "b")
	f.do(func(tx redis.Pipeliner) { tx.XTrimMaxLen(context.Background(), "s", 3) })
	c := f.subscribe(id)
	c.read()
	c.checkTexts("in the new life", "gap", "b18", "b19", "b20")
}

// A gateway gives the gap of an earlier life once, also while nothing is added.
func TestStream_GapOfEarlierLifeIsGivenOnce(t *testing.T) {
	f := newLifeTest(t)
	f.add(1, 3, "a")
	f.replace(1, 3, "b")
	c := f.subscribe("3-0.0-g")
	c.read()
	c.checkTexts("a cursor of another gateway", "gap")
	c = f.subscribe(c.lastID())
	c.read()
	c.checkTexts("its next connection")
}
