package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

func TestServer_StalledClientsDoNotDelayOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	t.Parallel()
	const (
		subscribers = 200
		stalled     = 20
		rate        = 200 // messages a second
		messages    = 5 * rate
		size        = 1 << 10
	)
	g := start(t, "--write-timeout=2s")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	lazy := newSmallReader(t)
	for range stalled {
		g.request(lazy, "?channel=a")
	}
	var reading sync.WaitGroup
	var mu sync.Mutex
	bad := 0
	for i := range subscribers - stalled {
		resp, cancel := g.request(client, "?channel=a")
		reading.Go(func() {
			defer cancel()
			next := 0
			err := readFrames(resp.Body, func(f frame) bool {
				if f.name != "" {
					if f.name == "stream.gap" {
						next = -1
						return false
					}
					return true
				}
				if !strings.HasPrefix(f.data, fmt.Sprint(next, " ")) {
					return false
				}
				next++
				return next < messages
			})
			if next != messages {
				mu.Lock()
				defer mu.Unlock()
				if bad++; bad <= 5 {
					t.Errorf("subscriber %d ends before message %d: %v", i, next, err)
				}
			}
		})
	}
	// The rate is that of real traffic. The test does not measure throughput.
	payload := strings.Repeat("x", size)
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	topic := event.Literal(event.Channel, "a")
	for n := range messages {
		<-tick.C
		if _, err := g.server.source.Publish(context.Background(), topic, source.Message{Data: fmt.Append(nil, n, " ", payload)}); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		reading.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(testTimeout):
		t.Fatal("some subscribers did not get all messages")
	}
}
