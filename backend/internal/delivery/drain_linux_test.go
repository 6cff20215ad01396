package delivery_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sluice/internal/delivery"
	"sluice/internal/journal"
)

// The drain begins while some connections are live, some are catching up, and some have sent no
// request. The server closes at once afterwards, as the gateway does.
func TestDrain_ReachesConnectionsInEveryState(t *testing.T) {
	t.Parallel()
	const clients = 100
	log := journal.New(journal.Limits{Events: 16, Bytes: 1 << 10}, "0")
	asked := make(chan struct{}, clients)
	var ended sync.WaitGroup
	ended.Add(clients)
	options := delivery.Options{Heartbeat: time.Hour, WriteTimeout: time.Minute, Retry: time.Second}
	server, address := startTCP(t, options, func() delivery.Stream {
		asked <- struct{}{}
		return newLiveStream(log)
	}, func(*delivery.End) { ended.Done() })
	var open []*net.TCPConn
	for range clients {
		open = append(open, subscribeTCP(t, address))
	}
	for range clients / 2 {
		<-asked
	}
	server.Drain(t.Context(), 0)
	server.Close()
	for i, c := range open {
		text, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(text, []byte("event: stream.close\ndata: {\"reason\":\"draining\"}\n\n")) {
			t.Errorf("connection %d: got %q", i, text)
		}
	}
	ended.Wait()
}
