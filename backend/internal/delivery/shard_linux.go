package delivery

import (
	"bytes"
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

// unsentLimit bounds what the kernel holds for a client that does not read.
const unsentLimit = 128 << 10

// shard writes to many sockets from one goroutine. Only this goroutine uses the connections
// and the groups; others use the mailbox.
type shard struct {
	server *Server
	poll   *poller
	wake   chan struct{}
	done   sync.WaitGroup

	mail mailbox

	conns  []*conn // all of this shard, each in the place of its descriptor; changed with mail.mu, for appendAll
	groups map[*journal.Journal]*group
	serial int32 // of the connection that was added last
	alarms alarms
	again  []*conn   // conflated connections that are due for another turn
	now    time.Time // when the present round began
	read   []readBatch
	looks  int // at all connections, so far

	frames, bytes int // delivered in this round
}

// mailbox holds the requests and events since the last round.
type mailbox struct {
	mu      sync.Mutex
	joining []*conn
	closing []closing
	grown   []*group  // whose journals have
	grewAt  time.Time // when the first of them did
	ready   []readiness
	stopped bool
}

type closing struct {
	conn   *conn
	reason event.CloseReason
}

// group is the connections of one shard that read a journal. A connection that reads several
// is in several groups, so a journal has one watcher for each shard, however many lists of
// topics there are.
type group struct {
	shard   *shard
	journal *journal.Journal
	conns   []*conn
	grown   atomic.Bool // it is in the mailbox
}

// newShards starts one shard for each processor.
func newShards(s *Server) []*shard {
	shards := make([]*shard, runtime.GOMAXPROCS(0))
	for i := range shards {
		poll, err := newPoller()
		if err != nil {
			for _, sh := range shards[:i] {
				sh.stop()
			}
			return nil // every connection has a goroutine then
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

// stop closes all connections.
func (s *shard) stop() {
	s.mail.mu.Lock()
	s.mail.stopped = true
	s.mail.mu.Unlock()
	s.signal()
	s.poll.close()
	s.done.Wait()
}

// handOff gives a connection that is live to a shard. On an error it is still the
// caller's.
func (s *Server) handOff(c net.Conn, stream Stream, expires time.Time, ended func(*End)) error {
	fd, err := duplicate(c)
	if err != nil {
		return err
	}
	sh := s.shards[fd%len(s.shards)]
	live := &conn{
		shard: sh, fd: int32(fd), sent: instantOf(time.Now()),
		expires: expiryOf(expires), stream: stream, ended: ended,
	}
	if err := sh.enqueue(live); err != nil {
		_ = unix.Close(fd)
		return err
	}
	_ = c.Close() // the duplicate keeps the socket
	sh.signal()
	return nil
}

// enqueue has a connection join, known to Drain only once it does, so that a word to close
// never comes before.
func (s *shard) enqueue(c *conn) error {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	if s.mail.stopped || s.server.Draining() {
		return ErrDraining
	}
	s.mail.joining = append(s.mail.joining, c)
	return nil
}

// place returns where a descriptor is in the list: every shard has those of one remainder.
func (s *shard) place(fd int32) int {
	return int(fd) / len(s.server.shards)
}

// list takes a connection in that is joining. It needs mail.mu, since it was in the mailbox
// until now: appendAll finds it in one or the other.
func (s *shard) list(c *conn) {
	place := s.place(c.fd)
	for place >= len(s.conns) {
		s.conns = append(s.conns, nil)
	}
	s.conns[place] = c
}

func (s *shard) unlist(c *conn) {
	s.mail.mu.Lock()
	defer s.mail.mu.Unlock()
	s.conns[s.place(c.fd)] = nil
}

// appendAll appends all connections of the shard, those that are joining too. Anyone may
// call it.
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

// duplicate returns a descriptor of the socket behind a connection, out of the care of
// Go's runtime.
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
	// Where this is not known, the kernel's own limit holds.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit)
	return fd, nil
}

// Wake implements [journal.Waker].
func (g *group) Wake() {
	if g.grown.Swap(true) {
		return
	}
	m := &g.shard.mail
	m.mu.Lock()
	if len(m.grown) == 0 {
		m.grewAt = time.Now()
	}
	m.grown = append(m.grown, g)
	m.mu.Unlock()
	g.shard.signal()
}

// ready enqueues the events of the poller.
func (s *shard) ready(events []readiness) {
	s.mail.mu.Lock()
	s.mail.ready = append(s.mail.ready, events...)
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
	look := time.NewTicker(s.lookInterval())
	defer look.Stop()
	defer s.alarms.stop()
	for {
		select {
		case <-s.wake:
			s.now = time.Now()
			if s.round() {
				return
			}
		case s.now = <-s.alarms.next():
			s.flushDue()
		case s.now = <-look.C:
			s.housekeeping()
		}
		if s.frames > 0 {
			s.server.metrics.Delivered(s.frames, s.bytes)
			s.frames, s.bytes = 0, 0
		}
	}
}

// round does what is in the mailbox.
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
		g.grown.Store(false) // before reading, so that what comes later is another round
		s.broadcast(g)
	}
	if len(grown) > 0 {
		s.server.metrics.Written(time.Since(grewAt))
	}
	for _, r := range ready {
		if c := s.conns[s.place(r.fd)]; c != nil && c.serial == r.serial {
			s.handleReady(c, r)
		}
	}
	for _, c := range closing {
		if !c.conn.hasEnded() && !c.conn.isLeaving() {
			s.sendClose(c.conn, c.reason)
		}
	}
	s.nextTurns()
	if stopped {
		for _, c := range s.conns {
			if c != nil {
				s.end(c, &End{Reason: Draining})
			}
		}
	}
	return stopped
}

// join adds a connection, and writes the events since it was live.
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

// fellBehind starts a goroutine for a connection whose position is no longer in the journal.
// The goroutine finds out what the client has missed.
func (s *shard) fellBehind(c *conn) {
	s.release(c)
	go func() {
		file := os.NewFile(uintptr(c.fd), "")
		conn, err := net.FileConn(file)
		_ = file.Close() // what FileConn returns has a descriptor of its own
		if err != nil {
			c.ended(&End{Failed, err})
			return
		}
		in := &progressConn{Conn: conn, timeout: s.server.options.WriteTimeout}
		if end := s.server.catchUp(in, nil, c.stream, c.expires.time(), c.ended); end != nil {
			c.ended(end)
		}
	}()
}

// sendClose ends a connection after its last complete frame.
func (s *shard) sendClose(c *conn, reason event.CloseReason) {
	if c.unsent == nil {
		c.unsent = new(unsent)
	}
	c.unsent.bytes = event.AppendClose(c.unsent.bytes, reason, s.server.Retry())
	c.unsent.leaves = reason
	if !c.full {
		s.flushAlone(c)
	}
}

// end closes a connection.
func (s *shard) end(c *conn, end *End) {
	s.release(c)
	_ = unix.Close(int(c.fd))
	s.server.countCut(end)
	go c.ended(end) // it may wait for others
}

// release removes a connection from the shard.
func (s *shard) release(c *conn) {
	if c.full {
		s.server.metrics.Stalled(-1)
	}
	s.poll.remove(c)
	s.alarms.cancel(c)
	s.unlist(c)
	for _, m := range c.members {
		m.group.remove(m.index)
	}
	c.members = nil
}

// remove removes a connection. The last one takes its place.
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

// lookInterval is the time between two looks at all connections: small against the
// times that they are about.
func (s *shard) lookInterval() time.Duration {
	shortest := min(s.server.options.Heartbeat, s.server.options.WriteTimeout)
	return min(max(shortest/16, 5*time.Millisecond), time.Second)
}

// housekeeping sends heartbeats, disconnects clients that accept no data, and closes
// connections whose permission has expired.
func (s *shard) housekeeping() {
	s.looks++
	ping := event.AppendPing(nil, s.now)
	now := instantOf(s.now)
	for _, c := range s.conns {
		switch {
		case c == nil:
		case s.isToBeChecked(c) && s.stalled(c):
			s.end(c, &End{Reason: WriteTimeout})
		case !c.isLeaving() && expired(c.expires.time(), s.now):
			s.sendClose(c, event.TokenExpired)
		case !c.full && now.since(c.sent) >= s.server.options.Heartbeat:
			if n, ok := s.write(c, ping); ok && n < len(ping) {
				c.unsent = &unsent{bytes: bytes.Clone(ping[n:])}
				s.park(c)
			}
		}
	}
}

// checkOneIn is the part of the rounds in which a client that is not known to be slow is
// checked, since each check is a system call.
const checkOneIn = 8

func (s *shard) isToBeChecked(c *conn) bool {
	return c.full || (int(c.fd)+s.looks)%checkOneIn == 0
}

// stalled reports whether a client has accepted none of the data in its socket for the write
// timeout.
func (s *shard) stalled(c *conn) bool {
	return c.progress.stalled(untakenFD(int(c.fd)), s.now, s.server.options.WriteTimeout)
}
