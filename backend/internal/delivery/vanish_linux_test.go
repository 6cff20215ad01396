package delivery_test

import (
	"bufio"
	"context"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/delivery"
	"sluice/internal/journal"
	"sluice/internal/test/proctest"
)

func TestServe_ClosesVanishedClient(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]delivery.Stream{
		"live":            newLiveStream(journal.New(journal.Limits{Events: 16, Bytes: 1 << 10}, "0")),
		"still replaying": newFakeStream(0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan *delivery.End, 1)
			options := delivery.Options{Heartbeat: 100 * time.Millisecond, WriteTimeout: 300 * time.Millisecond}
			address := serveTCP(t, options, func() delivery.Stream { return stream }, func(end *delivery.End) { ended <- end })
			client := subscribeTCP(t, address)
			readUntil(t, bufio.NewReader(client), []byte("event: stream.ping\n"))
			if err := proctest.DropInput(client); err != nil {
				t.Fatal(err)
			}
			if end := <-ended; end.Reason != delivery.WriteTimeout {
				t.Errorf("got reason %q", end.Reason)
			}
		})
	}
}

// lagging is a stream that is live once, at a position that its journal has evicted.
type lagging struct {
	*liveStream
	wasLive bool
	behind  chan struct{} // receives one value when Next is called after that
	goingOn chan struct{} // closed when Next may return
}

func (s *lagging) Live() bool {
	live := s.greeted && !(s.wasLive && s.reader.Behind())
	s.wasLive = s.wasLive || live
	return live
}

func (s *lagging) Next(ctx context.Context) (journal.Batch, error) {
	if s.wasLive && s.reader.Behind() {
		v := s.reader.Journal().View()
		head := v.Head()
		v.Close()
		s.reader.Seek(head, "0")
		s.greeted = false
		s.behind <- struct{}{}
		<-s.goingOn
	}
	return s.liveStream.Next(ctx)
}

func TestServe_LaggingClientUsesOneDescriptor(t *testing.T) {
	t.Parallel()
	full := journal.New(journal.Limits{Events: 1, Bytes: 1 << 10}, "0")
	for range 2 {
		full.Append(journal.Frame{Body: []byte("data: 1\n\n")})
	}
	stream := &lagging{
		liveStream: newLiveStream(full),
		behind:     make(chan struct{}),
		goingOn:    make(chan struct{}),
	}
	options := delivery.Options{Heartbeat: time.Hour, WriteTimeout: time.Minute}
	ended := make(chan *delivery.End, 1)
	address := serveTCP(t, options, func() delivery.Stream { return stream }, func(end *delivery.End) { ended <- end })
	client := subscribeTCP(t, address)
	<-stream.behind
	port := client.LocalAddr().(*net.TCPAddr).Port
	if n := descriptorsTo(t, port); n != 1 {
		t.Errorf("got %d descriptors during the replay, want 1", n)
	}
	close(stream.goingOn)
	client.Close()
	if end := <-ended; end.Reason != delivery.ClientGone {
		t.Errorf("got reason %q", end.Reason)
	}
}

// descriptorsTo counts the descriptors of this process for connections to a port.
func descriptorsTo(t *testing.T, port int) (n int) {
	t.Helper()
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range descriptors {
		fd, err := strconv.Atoi(d.Name())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := unix.Getpeername(fd)
		if to, ok := peer.(*unix.SockaddrInet4); err == nil && ok && to.Port == port {
			n++
		}
	}
	return n
}

func TestServe_ConflatedConnectionContinues(t *testing.T) {
	t.Parallel()
	const topics = 1000
	log := journal.New(journal.Limits{Events: topics, Bytes: 1 << 20}, "0")
	for n := range topics {
		qualifier := "t" + strconv.Itoa(n) + "@"
		log.Append(journal.Frame{Qualifier: qualifier, Cursor: []byte("1"), Body: []byte("data: " + strconv.Itoa(n) + "\n\n")})
	}
	ended := make(chan *delivery.End, 1)
	stream := &liveStream{reader: journal.NewReader(log, time.Hour, false, nil)}
	options := delivery.Options{Heartbeat: time.Hour, WriteTimeout: time.Minute}
	address := serveTCP(t, options, func() delivery.Stream { return stream }, func(end *delivery.End) { ended <- end })
	client := subscribeTCP(t, address)
	readUntil(t, bufio.NewReader(client), []byte("data: 999\n"))
	client.Close()
	if end := <-ended; end.Reason != delivery.ClientGone {
		t.Errorf("got reason %q", end.Reason)
	}
}
