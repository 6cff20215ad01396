package pubsub

import (
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// receive handles one message from Redis.
func (c *conn) receive(s *session, message any) {
	switch m := message.(type) {
	case *redis.Subscription:
		switch m.Kind {
		case "subscribe":
			c.confirmed(s, Subscription{Literal, m.Channel})
		case "psubscribe":
			c.confirmed(s, Subscription{Glob, m.Channel})
		case "ssubscribe":
			c.confirmed(s, Subscription{Sharded, m.Channel})
		case "sunsubscribe":
			c.unsubscribed(s, Subscription{Sharded, m.Channel})
		}
	case *redis.Message:
		c.deliver(m)
	case *redis.Pong:
		c.pass()
	}
}

// confirmed records that Redis follows a subscription from now on.
func (c *conn) confirmed(s *session, name Subscription) {
	c.mu.Lock()
	if len(s.sent) > 0 {
		s.sent[0] = slices.DeleteFunc(s.sent[0], func(n Subscription) bool { return n == name })
		if len(s.sent[0]) == 0 {
			s.sent = s.sent[1:]
		}
	}
	s.answered(name)
	f := c.following[name]
	// If Redis has yet to answer another command of the same name, this one belongs to a
	// following that was closed since.
	if f == nil || s.pending[name] > 0 || !slices.Contains(f.missing, name) {
		c.mu.Unlock()
		return
	}
	last := len(f.missing) == 1 && !f.held
	if !last {
		f.missing = slices.DeleteFunc(f.missing, func(n Subscription) bool { return n == name })
	}
	c.mu.Unlock()
	if last {
		c.begin(f)
	}
}

// begin makes f live from now on.
func (c *conn) begin(f *following) {
	view := c.markers.log.View()
	c.mu.Lock()
	f.view = view
	if f.closed.Load() {
		f.endView()
	}
	c.mu.Unlock()
	// Called before f counts as live, so a caller of live never misses a gap.
	rt := f.route
	rt.delivery.Lock()
	if !f.closed.Load() {
		rt.receiver.Confirmed(rt.begun, view)
		rt.begun = true
	}
	rt.delivery.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	f.since = time.Now()
	f.missing, f.refused, f.refuses, f.held = nil, nil, 0, false
	f.signal()
	wake(c.markers.now)
}

// unsubscribed records that the server no longer has the slot of a channel, or lost it for
// a while. It is the answer to a command unless the channel is followed.
func (c *conn) unsubscribed(s *session, name Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.following[name]
	if f == nil || slices.Contains(f.missing, name) {
		return
	}
	f.interrupted(append(f.missing, name)...)
	c.router.RefreshTopology()
	s.enqueue(true, name)
}

// answered records that Redis has answered a SUBSCRIBE command for a name. conn.mu must be
// held.
func (s *session) answered(name Subscription) {
	s.pending[name]--
	if s.pending[name] == 0 {
		delete(s.pending, name)
	}
}

// refuse handles an error that is the answer to the oldest command. One name that Redis
// does not allow fails the whole command, so the names of a batch are tried alone. A name
// that fails is tried again while it is followed.
func (c *conn) refuse(s *session, answer error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(s.sent) == 0 {
		return
	}
	names := s.sent[0]
	s.sent = s.sent[1:]
	for _, name := range names {
		s.answered(name)
		if len(names) > 1 && c.following[name] != nil {
			s.enqueue(true, name)
		}
	}
	if len(names) > 1 {
		return
	}
	f := c.following[names[0]]
	if f == nil || s.pending[names[0]] > 0 { // the answer to a later command counts
		return
	}
	wait := displacedPause
	if _, moved := redis.IsMovedError(answer); moved || redis.IsClusterDownError(answer) || redis.IsTryAgainError(answer) {
		c.router.RefreshTopology()
	} else {
		if f.refuses == 0 {
			c.log.Warn("redis refuses a subscription; trying again", "error", answer)
		}
		wait = min(refusedFirst<<min(f.refuses, 10), refusedAtMost)
		f.refuses++
		f.refused = fmt.Errorf("%w: %w", ErrForbidden, answer)
		f.signal()
	}
	time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.session == s && c.following[names[0]] == f && slices.Contains(f.missing, names[0]) {
			s.enqueue(true, names[0])
		}
	})
}

func (c *conn) deliver(m *redis.Message) {
	name := Subscription{Literal, m.Channel}
	if m.Pattern != "" {
		name = Subscription{Glob, m.Pattern}
	}
	c.mu.Lock()
	f := c.following[name]
	live := f != nil && !f.pending()
	c.mu.Unlock()
	// A message before the confirmation belongs to an earlier following of the name, or
	// arrived from another server already.
	if live {
		f.message(m.Channel, m.Payload)
	}
}

func (f *following) message(channel, payload string) {
	f.route.delivery.Lock()
	defer f.route.delivery.Unlock()
	if !f.closed.Load() {
		f.route.receiver.Message(channel, payload)
	}
}
