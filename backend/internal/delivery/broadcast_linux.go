package delivery

import (
	"bytes"

	"golang.org/x/sys/unix"

	"sluice/internal/journal"
)

// recheckEvery is the number of connections after which a broadcast checks whether the journal
// has grown. Writing to that many takes a few milliseconds.
const recheckEvery = 256

// broadcast writes the new frames of a journal to all connections that read it. Frames that
// are appended during the broadcast reach the remaining connections at once, and the others
// in the next round.
func (s *shard) broadcast(g *group) {
	s.read = s.read[:0]
	for i := 0; i < len(g.conns); {
		if i%recheckEvery == 0 && g.grown.Load() {
			s.read = s.read[:0]
		}
		c := g.conns[i]
		if !c.full {
			s.flush(c)
		}
		if i < len(g.conns) && g.conns[i] == c { // else c has ended, and another connection has its index
			i++
		}
	}
}

// batch returns the batch at the position of a reader. It returns false as
// [journal.Journal.Read] does.
func (s *shard) batch(reader *journal.Reader) (*journal.Batch, bool) {
	pos := reader.Pos()
	for i := range s.read {
		if s.read[i].From == pos {
			return &s.read[i], true
		}
	}
	b, ok := reader.Journal().Read(pos)
	if !ok {
		return nil, false
	}
	if len(s.read) == maxRead {
		s.read = s.read[:0]
	}
	s.read = append(s.read, b)
	return &s.read[len(s.read)-1], true
}

// maxRead bounds the batches that are kept during a broadcast. Finding one among few is faster
// than a read.
const maxRead = 8

// flush writes all available frames to a connection, until its socket is full.
func (s *shard) flush(c *conn) {
	for more := true; more; {
		if c.unsent != nil && !s.flushUnsent(c) {
			return
		}
		reader, ok := c.stream.Reader().(*journal.Reader)
		if !ok || !reader.Shared() {
			s.flushOwn(c)
			return
		}
		b, ok := s.batch(reader)
		if !ok {
			s.catchUpAgain(c)
			return
		}
		if len(b.Bytes) == 0 {
			return
		}
		n, ok := s.write(c, b.Bytes)
		switch {
		case !ok:
			return
		case n == 0:
			s.park(c)
			return
		case n < len(b.Bytes):
			started := b.Split(n)
			c.unsent = unsentFrame(started.Bytes[n:])
			s.advance(reader, &started)
			s.park(c)
			return
		}
		s.advance(reader, b)
		more = !b.AtHead // the next round writes frames that are newer than the head
	}
}

// flushOwn writes one batch to a connection that shares its batches with no other connection. If
// its journals have more, it requeues the connection, so other connections are not delayed.
func (s *shard) flushOwn(c *conn) {
	reader := c.stream.Reader()
	b, ok := reader.Next()
	if !ok {
		s.catchUpAgain(c)
		return
	}
	if len(b.Bytes) > 0 {
		n, ok := s.write(c, b.Bytes)
		if !ok {
			return
		}
		if n < len(b.Bytes) { // the frames after this one are read again
			reader.Unread(&b, n)
			b.AtHead = false
		}
		if n < len(b.Bytes) || len(b.Body) > 0 {
			c.unsent = &unsent{rest: bytes.Clone(b.Bytes[n:]), shared: b.Body}
		}
	}
	s.frames += b.Frames
	s.bytes += len(b.Bytes) + len(b.Body)
	if c.unsent != nil && !s.flushUnsent(c) {
		return
	}
	if b.AtHead {
		s.timers.set(c, reader.Due())
	} else if !c.queued {
		c.queued = true
		s.requeued = append(s.requeued, c)
		s.signal()
	}
}

// flushRequeued writes another batch to each requeued connection.
func (s *shard) flushRequeued() {
	queued := s.requeued
	s.requeued = nil
	for _, c := range queued {
		c.queued = false
		if !c.hasEnded() && !c.full {
			s.flushAlone(c)
		}
	}
}

func (s *shard) flushDue() {
	for c := s.timers.due(s.now); c != nil; c = s.timers.due(s.now) {
		if !c.full {
			s.flushAlone(c)
		}
	}
}

// flushUnsent writes the unsent data, and reports whether more may be written to the
// connection.
func (s *shard) flushUnsent(c *conn) bool {
	u := c.unsent
	for _, part := range []*[]byte{&u.rest, &u.shared, &u.close} {
		if len(*part) == 0 {
			continue
		}
		n, ok := s.write(c, *part)
		if !ok {
			return false
		}
		if n < len(*part) {
			*part = (*part)[n:]
			s.park(c)
			return false
		}
		*part = nil
	}
	if u.closeReason != "" {
		s.end(c, &End{Reason: EndReason(u.closeReason)})
		return false
	}
	c.unsent = nil
	return true
}

// advance moves a reader to the end of a batch. The rest of its last frame is in unsent.
func (s *shard) advance(r *journal.Reader, b *journal.Batch) {
	r.Advance(b)
	s.frames += b.Frames
	s.bytes += len(b.Bytes)
}

// write writes as much as the socket accepts. It returns false if the connection has ended.
func (s *shard) write(c *conn, b []byte) (n int, ok bool) {
	n, errno := send(c.fd, b)
	switch errno {
	case 0:
		c.sent = toInstant(s.now)
		c.progress.sent += uint32(n)
		return n, true
	case unix.EAGAIN, unix.EINTR:
		return 0, true
	default:
		s.end(c, &End{Reason: ClientGone})
		return 0, false
	}
}

// park waits until the socket of a connection is writable.
func (s *shard) park(c *conn) {
	if c.full {
		return
	}
	c.full = true
	s.server.metrics.Stalled(1)
	s.stalled(c) // the write timeout begins now
	if err := s.poll.awaitWritable(c); err != nil {
		s.end(c, &End{Failed, err})
	}
}

func (s *shard) handleReady(c *conn, e unix.EpollEvent) {
	switch {
	case e.Events&hangUp != 0:
		s.end(c, &End{Reason: ClientGone})
	case c.full:
		c.full = false
		s.server.metrics.Stalled(-1)
		s.flushAlone(c)
	}
}
