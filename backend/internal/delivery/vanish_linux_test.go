package delivery_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/delivery"
	"sluice/internal/journal"
	"sluice/internal/proctest"
)

func TestServe_ClientWhoseLineIsCutIsCutOff(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]delivery.Stream{
		"live":            &liveStream{journal: journal.New(journal.Limits{Events: 16, Bytes: 1 << 10}, "0")},
		"still replaying": newFakeStream(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			options := delivery.Options{Heartbeat: 100 * time.Millisecond, WriteTimeout: 300 * time.Millisecond}
			address := serveTCP(t, options, func() delivery.Stream { return stream }, func(err error) { ended <- err })
			client := subscribeTCP(t, address)
			readUntil(t, bufio.NewReader(client), []byte("event: stream.ping\n"))
			if err := proctest.CutLine(client); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}

// lagging is a stream that is live but for one time that it falls behind.
type lagging struct {
	liveStream
	fell    bool
	behind  chan struct{} // gets one when Next is called in that time
	goingOn chan struct{} // closed when it may go on
}

func (s *lagging) Paced() bool { return true }

func (s *lagging) Take() (journal.Batch, bool) {
	first := !s.fell
	s.fell = true
	return journal.Batch{}, !first
}

func (s *lagging) FellBehind(uint64, []byte) { s.greeted = false }

func (s *lagging) Next(ctx context.Context) (journal.Batch, error) {
	if s.fell {
		s.behind <- struct{}{}
		<-s.goingOn
	}
	return s.liveStream.Next(ctx)
}

func TestServe_ClientThatFellBehindCostsOneDescriptor(t *testing.T) {
	t.Parallel()
	stream := &lagging{
		liveStream: liveStream{journal: journal.New(journal.Limits{Events: 16, Bytes: 1 << 10}, "0")},
		behind:     make(chan struct{}),
		goingOn:    make(chan struct{}),
	}
	options := delivery.Options{Heartbeat: time.Hour, WriteTimeout: time.Minute}
	ended := make(chan error, 1)
	address := serveTCP(t, options, func() delivery.Stream { return stream }, func(err error) { ended <- err })
	client := subscribeTCP(t, address)
	<-stream.behind
	port := client.LocalAddr().(*net.TCPAddr).Port
	if n := descriptorsTo(t, port); n != 1 {
		t.Errorf("the connection has %d descriptors while it replays, want 1", n)
	}
	close(stream.goingOn)
	client.Close()
	if err := <-ended; err == nil {
		t.Error("it ends without a reason")
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
