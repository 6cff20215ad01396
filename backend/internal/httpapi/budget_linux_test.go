//go:build !race

package httpapi_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/auth"
	"sluice/internal/delivery"
	"sluice/internal/event"
	"sluice/internal/httpapi"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/metrics"
	"sluice/internal/source"
	"sluice/internal/source/memory"
)

// After the response begins, a subscriber costs its connection and its position in the journal.
// net/http, gin and the connection limiter keep no memory for it.
func TestBudget_IdleConnectionBytes(t *testing.T) {
	const few, many, most = 100, 4100, 400 // bytes per connection; with fewer of them, the memory of the runtime counts
	counters := metrics.New()
	address := serve(t, counters)
	goroutines := runtime.NumGoroutine()
	var clients []int
	t.Cleanup(func() {
		for _, fd := range clients {
			_ = unix.Close(fd)
		}
	})
	heapWith := func(connections int) uint64 {
		for len(clients) < connections {
			clients = append(clients, subscribe(t, address))
		}
		for runtime.NumGoroutine() > goroutines { // some are being handed off
			time.Sleep(time.Millisecond)
		}
		if open := counters.Snapshot().Connections; open != int64(connections) {
			t.Fatalf("got %d open connections, want %d", open, connections)
		}
		return liveHeap()
	}
	alone, together := heapWith(few), heapWith(many)
	if each := (float64(together) - float64(alone)) / (many - few); each > most {
		t.Errorf("got %.0f bytes per connection, want at most %d", each, most)
	}
}

// liveHeap returns the bytes of all reachable objects.
func liveHeap() uint64 {
	for range 3 { // objects in a sync.Pool survive two collections
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// serve serves channel:updates at an address until the test ends.
func serve(t *testing.T, counters *metrics.Metrics) string {
	t.Helper()
	updates := []event.Topic{event.Literal(event.Channel, "updates")}
	authority, err := auth.New(auth.Options{Anyone: auth.Grant{Subscribe: updates}})
	if err != nil {
		t.Fatal(err)
	}
	broker := memory.New(source.Fill{})
	h := hub.New(broker, hub.Options{Node: "n1", History: journal.Limits{Events: 16, Bytes: 1 << 10}, Linger: time.Hour}, counters)
	t.Cleanup(h.Close)
	streams := delivery.New(delivery.Options{Heartbeat: time.Hour, WriteTimeout: time.Hour, Retry: time.Second}, counters)
	server, err := httpapi.New(httpapi.Options{
		Node: "n1", DefaultTopics: updates, Authorizer: authority, Hub: h, Delivery: streams,
		Broker: broker, Metrics: counters, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(&delivery.Listener{Listener: inner, WriteTimeout: time.Hour}) // returns when the listener is closed
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
		streams.Close()
	})
	return inner.Addr().String()
}

// subscribe returns the descriptor of a connection with an open stream. This process keeps no other
// memory of the client.
func subscribe(t *testing.T, address string) int {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "event: stream.open") {
			break
		}
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var client int
	var dupErr error
	if err := raw.Control(func(fd uintptr) { client, dupErr = unix.Dup(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	if dupErr != nil {
		t.Fatal(dupErr)
	}
	return client
}
