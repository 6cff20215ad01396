package delivery

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/event"
	"sluice/internal/journal"
)

// unsentLimit bounds the bytes in a send buffer that the kernel has not sent yet.
const unsentLimit = 128 << 10

// shard writes to many sockets from one goroutine. Only this goroutine uses the connections
// and the groups; others use the mailbox.
type shard struct {
	server *Server
	poll   *poller
	wake   chan struct{}
	done   sync.WaitGroup

	mail mailbox

	conns    []*conn // see index; nil elements are free. mail.mu must be held for changes
	groups   map[*journal.Journal]*group
	serial   int32 // serial of the connection that was added last
	timers   timers
	requeued []*conn         // connections whose journals have more; see flushOwn
	now      time.Time       // start of the current round
	read     []journal.Batch // in this broadcast; most connections of a group are at the same position
	checks   int             // calls of housekeeping so far

	frames, bytes int // delivered in this round
}

// mailbox holds the requests and events since the last round.
type mailbox struct {
	mu      sync.Mutex
	joining []*conn
	closing []closing
	grown   []*group          // groups whose journals have grown
	grewAt  time.Time         // time of the first append since the last round
	ready   []unix.EpollEvent // see [poller.run]
	stopped bool
}

type closing struct {
	conn   *conn
	reason event.CloseReason
}

// group is a [journal.Waker] for the connections of one shard that read a journal. A connection that reads several
// journals is in several groups. A journal has at most one watcher for each shard, for any number
// of topic lists.
type group struct {
	shard   *shard
	journal *journal.Journal
	conns   []*conn
	grown   atomic.Bool // the group is in mailbox.grown
}

// newShards starts one shard for each processor. It returns nil if epoll is not available.
func newShards(s *Server) []*shard {
	shards := make([]*shard, runtime.GOMAXPROCS(0))
	for i := range shards {
		poll, err := newPoller()
		if err != nil {
			for _, sh := range shards[:i] {
				sh.stop()
			}
			return nil // without shards, every connection has a goroutine
		}
		sh := &shard{
			server: s,
			poll:   poll,
			wake:   make(chan struct{}, 1),
			groups: make(map[*journal.Journal]*group),
		}
		sh.done.Go(sh.run)
		sh.done.Go(func() { poll.run(sh.ready) })
		shards[i] = sh
	}
	return shards
}

// stop closes all connections and waits until the shard has ended.
func (s *shard) stop() {
	s.post(func(m *mailbox) { m.stopped = true })
	s.done.Wait()
}

// handOff passes a live connection to a shard. The shard closes it and calls ended. After an error, the
// connection still belongs to the caller.
func (s *Server) handOff(c net.Conn, stream Stream, expires time.Time, ended func(*End)) error {
	fd, err := duplicate(c)
	if err != nil {
		return err
	}
	sh := s.shards[fd%len(s.shards)]
	live := &conn{
		shard: sh, fd: int32(fd), sent: toInstant(time.Now()),
		expires: toExpiry(expires), stream: stream, ended: ended,
	}
	if err := sh.enqueue(live); err != nil {
		_ = unix.Close(fd)
		return err
	}
	_ = c.Close() // the duplicate keeps the socket
	sh.signal()
	return nil
}

// enqueue adds a connection to the mailbox. It returns ErrDraining after Drain has begun, so Drain
// misses no connection.
func (s *shard) enqueue(c *conn) error {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	if s.server.Draining() { // also after stop
		return ErrDraining
	}
	s.mail.joining = append(s.mail.joining, c)
	return nil
}

// index returns the index of a descriptor in conns. A shard has all descriptors with the same
// remainder.
func (s *shard) index(fd int32) int {
	return int(fd) / len(s.server.shards)
}

// list adds a connection from the mailbox to conns. mail.mu must be held since it was removed from
// the mailbox, so appendAll finds it in one of the two.
func (s *shard) list(c *conn) {
	i := s.index(c.fd)
	for i >= len(s.conns) {
		s.conns = append(s.conns, nil)
	}
	s.conns[i] = c
}

// appendAll appends all connections of the shard to all, including those in the mailbox. It may be
// called from any goroutine.
func (s *shard) appendAll(all []closer) []closer {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	for _, c := range s.conns {
		if c != nil {
			all = append(all, c)
		}
	}
	for _, c := range s.mail.joining {
		all = append(all, c)
	}
	return all
}

// duplicate returns a new descriptor of the socket of a connection. The Go runtime does not manage
// it; the caller must close it.
func duplicate(c net.Conn) (int, error) {
	if p, ok := c.(*progressConn); ok {
		c = p.Conn
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0, errors.New("not a TCP connection")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var fd int
	var dupErr error
	err = raw.Control(func(original uintptr) {
		fd, dupErr = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, dupErr); err != nil {
		return 0, err
	}
	// If the kernel does not support this option, its default limit applies.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit)
	return fd, nil
}

func (g *group) Wake() {
	if g.grown.Swap(true) {
		return
	}
	g.shard.post(func(m *mailbox) {
		if len(m.grown) == 0 {
			m.grewAt = time.Now()
		}
		m.grown = append(m.grown, g)
	})
}

// ready enqueues the events of the poller.
func (s *shard) ready(events []unix.EpollEvent) {
	s.post(func(m *mailbox) { m.ready = append(m.ready, events...) })
}

// post changes the mailbox, and wakes the shard.
func (s *shard) post(change func(*mailbox)) {
	s.mail.mu.Lock()
	change(&s.mail)
	s.mail.mu.Unlock()
	s.signal()
}

func (s *shard) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes until the shard is stopped.
func (s *shard) run() {
	check := time.NewTicker(s.checkInterval())
	defer check.Stop()
	defer s.timers.stop()
	defer s.poll.close() // not earlier: the last round may add connections to it
	for {
		select {
		case <-s.wake:
			s.now = time.Now()
			if s.round() {
				return
			}
		case s.now = <-s.timers.next():
			s.flushDue()
		case s.now = <-check.C:
			s.housekeeping()
		}
		if s.frames > 0 {
			s.server.metrics.Delivered(s.frames, s.bytes)
			s.frames, s.bytes = 0, 0
		}
	}
}

// round processes the contents of the mailbox.
func (s *shard) round() (stopped bool) {
	m := &s.mail
	m.mu.Lock()
	joining, closing, grown, grewAt, ready := m.joining, m.closing, m.grown, m.grewAt, m.ready
	m.joining, m.closing, m.grown, m.ready = nil, nil, nil, nil
	stopped = m.stopped
	for _, c := range joining {
		s.list(c)
	}
	m.mu.Unlock()
	for _, c := range joining {
		s.join(c)
	}
	for _, g := range grown {
		g.grown.Store(false) // before the journal is read: a later append requests another round
		s.broadcast(g)
	}
	if len(grown) > 0 {
		s.server.metrics.Written(time.Since(grewAt))
	}
	for _, e := range ready {
		if c := s.conns[s.index(e.Fd)]; c != nil && c.serial == e.Pad {
			s.handleReady(c, e)
		}
	}
	for _, c := range closing {
		if !c.conn.hasEnded() && !c.conn.isClosing() {
			s.sendClose(c.conn, c.reason)
		}
	}
	s.flushRequeued()
	if stopped {
		for _, c := range s.conns {
			if c != nil {
				s.end(c, &End{Reason: Draining})
			}
		}
	}
	return stopped
}

// join adds a connection to its groups, and writes the events that were appended since it became
// live.
func (s *shard) join(c *conn) {
	s.serial++
	c.serial = s.serial
	journals := c.stream.Reader().Journals()
	c.members = make([]member, 0, len(journals))
	for _, j := range journals {
		g := s.groups[j]
		if g == nil {
			g = &group{shard: s, journal: j}
			s.groups[j] = g
			j.Watch(g)
		}
		c.members = append(c.members, member{g, int32(len(g.conns))})
		g.conns = append(g.conns, c)
	}
	if err := s.poll.add(c); err != nil {
		s.end(c, &End{Failed, err})
		return
	}
	s.flushAlone(c)
}

// flushAlone is flush outside of a broadcast.
func (s *shard) flushAlone(c *conn) {
	s.read = s.read[:0]
	s.flush(c)
}

// catchUpAgain releases a connection whose position is no longer in the journal. A goroutine
// catches up and hands the connection over to a shard again. A connection for which nothing
// follows ends.
func (s *shard) catchUpAgain(c *conn) {
	if c.stream.Reader().Finished() {
		s.end(c, &End{Reason: Finished})
		return
	}
	s.release(c)
	go func() {
		file := os.NewFile(uintptr(c.fd), "")
		conn, err := net.FileConn(file)
		_ = file.Close() // FileConn has duplicated the descriptor
		if err != nil {
			c.ended(&End{Failed, err})
			return
		}
		slow := &progressConn{Conn: conn, timeout: s.server.options.WriteTimeout}
		if end := s.server.catchUp(slow, nil, c.stream, c.expires.time(), c.ended); end != nil {
			c.ended(end)
		}
	}()
}

// sendClose enqueues stream.close after the last started frame. The connection ends when it is sent.
func (s *shard) sendClose(c *conn, reason event.CloseReason) {
	if c.unsent == nil {
		c.unsent = new(unsent)
	}
	c.unsent.close = event.AppendClose(nil, reason, s.server.Retry())
	c.unsent.closeReason = reason
	if !c.full {
		s.flushAlone(c)
	}
}

// end closes a connection.
func (s *shard) end(c *conn, end *End) {
	s.release(c)
	_ = unix.Close(int(c.fd))
	s.server.countCut(end)
	go c.ended(end) // it may block
}

// release removes a connection from the shard.
func (s *shard) release(c *conn) {
	if c.full {
		s.server.metrics.Stalled(-1)
	}
	s.poll.remove(c)
	s.timers.cancel(c)
	s.mail.mu.Lock()
	s.conns[s.index(c.fd)] = nil
	s.mail.mu.Unlock()
	for _, m := range c.members {
		m.group.remove(m.index)
	}
	c.members = nil
}

// remove removes the connection with an index. The last connection moves to this index.
func (g *group) remove(index int32) {
	last := len(g.conns) - 1
	moved := g.conns[last]
	for i := range moved.members {
		if moved.members[i].group == g {
			moved.members[i].index = index
		}
	}
	g.conns[index], g.conns[last] = moved, nil
	if g.conns = g.conns[:last]; last == 0 {
		g.journal.Unwatch(g)
		delete(g.shard.groups, g.journal)
	}
}

// checkInterval is the time between two calls of housekeeping. It is short in comparison with the
// heartbeat and the write timeout.
func (s *shard) checkInterval() time.Duration {
	shortest := min(s.server.options.Heartbeat, s.server.options.WriteTimeout)
	return min(max(shortest/16, 5*time.Millisecond), time.Second)
}

// housekeeping sends heartbeats, disconnects clients that accept no data, and closes
// connections whose permission has expired.
func (s *shard) housekeeping() {
	s.checks++
	ping := event.AppendPing(nil, s.now)
	now := toInstant(s.now)
	for _, c := range s.conns {
		switch {
		case c == nil:
		case s.needsCheck(c) && s.stalled(c):
			s.end(c, &End{Reason: WriteTimeout})
		case !c.isClosing() && expired(c.expires.time(), s.now):
			s.sendClose(c, event.TokenExpired)
		case !c.full && now.since(c.sent) >= s.server.options.Heartbeat:
			if n, ok := s.write(c, ping); ok && n < len(ping) {
				c.unsent = unsentFrame(ping[n:])
				s.park(c)
			}
		}
	}
}

// A client whose send buffer is not full is checked in one of checkOneIn calls of housekeeping, since
// each check is a system call.
const checkOneIn = 8

func (s *shard) needsCheck(c *conn) bool {
	return c.full || (int(c.fd)+s.checks)%checkOneIn == 0
}

// stalled reports whether a client has acknowledged no data for the write timeout.
func (s *shard) stalled(c *conn) bool {
	return c.progress.stalled(unacknowledgedFD(int(c.fd)), s.now, s.server.options.WriteTimeout)
}
