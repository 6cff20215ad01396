package delivery_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"sluice/internal/delivery"
)

// connect returns both ends of a connection that a Listener accepted.
func connect(t *testing.T, timeout time.Duration) (server, client net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &delivery.Listener{Listener: inner, WriteTimeout: timeout}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Close()
		client.Close()
	})
	return server, client
}

func TestListener_ClosesStalledClient(t *testing.T) {
	t.Parallel()
	server, _ := connect(t, 200*time.Millisecond)
	n, err := server.Write(make([]byte, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write: got %d, %v", n, err)
	}
}

func TestListener_KeepsSlowClient(t *testing.T) {
	t.Parallel()
	const timeout, size = 2 * time.Second, 24 << 20
	server, client := connect(t, timeout)
	written := make(chan error, 1)
	go func() {
		_, err := server.Write(make([]byte, size))
		written <- err
	}()
	// The client reads a part from time to time, for longer in total than the timeout.
	began := time.Now()
	read := 0
	for time.Since(began) < 2*timeout {
		n, err := io.CopyN(io.Discard, client, 256<<10)
		read += int(n)
		if err != nil {
			t.Fatalf("after %d bytes: %v", read, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if read >= size {
		t.Fatal("the client has read everything: the test needs more data")
	}
	if _, err := io.CopyN(io.Discard, client, size-int64(read)); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Errorf("Write: got error %v", err)
	}
}
