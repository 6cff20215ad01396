package delivery_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/delivery"
	"sluice/internal/journal"
)

// loopback is a server that delivers one journal to clients over real sockets.
type loopback struct {
	journal *journal.Journal
	clients []*bufio.Reader
	frame   journal.Frame
	event   []byte // buffer for one event in wire format
}

// newLoopback returns a server whose clients are all live.
func newLoopback(tb testing.TB, clients int) *loopback {
	tb.Helper()
	const cursor = "00000001"
	l := &loopback{
		journal: journal.New(journal.Limits{Events: 4096, Bytes: 4 << 20}, cursor),
		frame:   journal.Frame{Cursor: []byte(cursor), Body: []byte("data: " + strings.Repeat("x", 200) + "\n\n")},
	}
	l.event = make([]byte, len("id: ")+len(cursor)+len("\n")+len(l.frame.Body))
	var ended sync.WaitGroup
	ended.Add(clients)
	options := delivery.Options{Heartbeat: time.Hour, WriteTimeout: time.Minute, Retry: time.Second}
	address := serveTCP(tb, options, func() delivery.Stream { return newLiveStream(l.journal) }, func(*delivery.End) { ended.Done() })
	tb.Cleanup(ended.Wait)
	for range clients {
		l.clients = append(l.clients, bufio.NewReaderSize(subscribeTCP(tb, address), 16<<10))
	}
	l.journal.Append(l.frame) // clients that connect later read it too
	for _, client := range l.clients {
		readUntil(tb, client, l.frame.Body)
	}
	return l
}

// serveTCP serves streams at an address until the test ends.
func serveTCP(tb testing.TB, options delivery.Options, stream func() delivery.Stream, done func(*delivery.End)) string {
	tb.Helper()
	_, address := startTCP(tb, options, stream, done)
	return address
}

// startTCP is like serveTCP, but also returns the server.
func startTCP(tb testing.TB, options delivery.Options, stream func() delivery.Stream, done func(*delivery.End)) (*delivery.Server, string) {
	tb.Helper()
	server := delivery.New(options, new(counts))
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	public := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serveAndReport(server, w, r, stream(), time.Time{}, done)
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = public.Serve(&delivery.Listener{Listener: inner, WriteTimeout: options.WriteTimeout}) // returns when the listener is closed
	}()
	tb.Cleanup(func() {
		public.Close()
		<-served
		server.Close()
	})
	return server, inner.Addr().String()
}

// subscribeTCP returns a connection that has requested a stream.
func subscribeTCP(tb testing.TB, address string) *net.TCPConn {
	tb.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		tb.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// readUntil reads up to the end of a text.
func readUntil(tb testing.TB, r *bufio.Reader, end []byte) {
	tb.Helper()
	for read := []byte(nil); !bytes.HasSuffix(read, end); {
		c, err := r.ReadByte()
		if err != nil {
			tb.Fatal(err)
		}
		read = append(read, c)
	}
}

// deliver appends events and waits until every client has received them.
func (l *loopback) deliver(tb testing.TB, events int) {
	for range events {
		l.journal.Append(l.frame)
	}
	for _, client := range l.clients {
		for range events {
			if _, err := io.ReadFull(client, l.event); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// liveStream delivers a first block and then reads its journal.
type liveStream struct {
	reader  journal.Reader
	greeted bool
}

func newLiveStream(log *journal.Journal) *liveStream {
	return &liveStream{reader: journal.NewReader(log, 0, true, nil)}
}

func (s *liveStream) Next(context.Context) (journal.Batch, error) {
	if s.greeted {
		return journal.Batch{}, nil
	}
	s.greeted = true
	return journal.Batch{Bytes: []byte("event: stream.open\ndata: {}\n\n")}, nil
}

func (s *liveStream) Live() bool                  { return s.greeted }
func (s *liveStream) Reader() journal.BatchReader { return &s.reader }

func (*liveStream) OnRevoke(func()) {}

func BenchmarkDelivery_Broadcast(b *testing.B) {
	for _, subs := range []int{1, 100, 1000} {
		for _, events := range []int{1, 10} {
			b.Run(fmt.Sprintf("subs=%d/events=%d", subs, events), func(b *testing.B) {
				l := newLoopback(b, subs)
				b.SetBytes(int64(subs * events * len(l.event)))
				b.ReportAllocs()
				for b.Loop() {
					l.deliver(b, events)
				}
			})
		}
	}
}
