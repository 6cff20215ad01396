package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// blockingNews has news of all streams of one server by one blocking XREAD. That says
// only that there is something new.
type blockingNews struct {
	client  *redis.Client
	limited *redis.Client
	conn    *redis.Conn // nil if not connected
	connID  int64       // Redis's number for it; 0 if Redis refuses CLIENT ID
}

func (b *blockingNews) close() {
	if b.conn != nil {
		_ = b.conn.Close()
	}
}

func (b *blockingNews) wait(ctx context.Context, followed []*streamFollowing, changed <-chan struct{}) ([]*streamFollowing, error) {
	var names, positions []string
	byName := make(map[string]*streamFollowing, len(followed))
	for _, f := range followed {
		byName[f.name] = f
		names = append(names, f.name)
		positions = append(positions, f.at.ID.String())
	}
	found, err := b.read(ctx, &redis.XReadArgs{Count: 1, Block: streamBlock, Streams: append(names, positions...)}, changed)
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil
	case errors.Is(err, errReplyTooLarge):
		return followed, nil // the reads find out which
	case err != nil:
		return nil, refusal(err)
	}
	var news []*streamFollowing
	for _, stream := range found {
		news = append(news, byName[stream.Stream])
	}
	return news, nil
}

// read runs a blocking read that ends early when the set of streams changes. If Redis refuses
// CLIENT ID, the read always ends by its own time.
func (b *blockingNews) read(ctx context.Context, args *redis.XReadArgs, changed <-chan struct{}) (found []redis.XStream, err error) {
	if b.conn == nil {
		conn := b.limited.Conn()
		id, err := conn.ClientID(ctx).Result()
		if err != nil && !isAnswer(err) {
			return nil, errors.Join(err, conn.Close())
		}
		b.conn, b.connID = conn, id
	}
	finished := make(chan struct{})
	var unblocking sync.WaitGroup
	if b.connID != 0 {
		unblocking.Go(func() { b.unblock(ctx, b.connID, changed, finished) })
	}
	found, err = b.conn.XRead(ctx, args).Result()
	close(finished)
	unblocking.Wait()
	if err != nil && !errors.Is(err, redis.Nil) {
		_ = b.conn.Close() // it is broken, or as good as new in the next round
		b.conn = nil
	}
	return found, err
}

// unblock ends the blocking read of a connection when the set of streams has changed.
// The command has no effect before the read, so it is repeated.
func (b *blockingNews) unblock(ctx context.Context, id int64, changed, finished <-chan struct{}) {
	select {
	case <-changed:
	case <-finished:
		return
	}
	for {
		if err := b.client.ClientUnblock(ctx, id).Err(); err != nil {
			return // not allowed, or Redis is away: the read ends by its own time
		}
		select {
		case <-finished:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}
