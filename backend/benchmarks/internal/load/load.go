// Package load loads a server of event streams, with little CPU time: one thread reads all
// connections and counts their messages.
package load

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"
)

// Target is an address and a request.
type Target struct {
	host    string
	addr    *net.TCPAddr
	request []byte
}

// NewTarget returns the target for a URL, for instance
// "http://127.0.0.1:4000/events?channel=updates". The host must have an IPv4 address.
func NewTarget(address string) (Target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Target{}, err
	}
	addr, err := net.ResolveTCPAddr("tcp4", u.Host)
	if err != nil {
		return Target{}, err
	}
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", u.RequestURI(), u.Host)
	return Target{u.Host, addr, []byte(request)}, nil
}

const (
	// waiting bounds the connections that wait for a response at the same time.
	waiting = 256
	// openPatience is the time without any response after which Open fails.
	openPatience = 30 * time.Second
	tick         = time.Millisecond
)

// Open opens n connections, number i to target(i), and returns when all have received the head of an
// event stream. After an error, Close closes the opened connections.
func (r *Readers) Open(ctx context.Context, n int, target func(i int) Target) error {
	before, _ := r.opened()
	moved := time.Now()
	newest := before
	for i := 0; newest-before < n; {
		opened, err := r.opened()
		if opened > newest {
			newest, moved = opened, time.Now()
		}
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(moved) > openPatience:
			return fmt.Errorf("%s responded to %d of %d connections, and to no others within %s", target(i-1).host, newest-before, n, openPatience)
		case i < n && i-(newest-before) < waiting:
			if err := r.dial(target(i)); err != nil {
				return fmt.Errorf("connection %d to %s: %w", i+1, target(i).host, err)
			}
			i++
		default:
			time.Sleep(tick)
		}
	}
	return nil
}

// Await waits until the number of messages is reached and returns true. It returns false if no
// message is received for the patience.
func (r *Readers) Await(messages int64, patience time.Duration) bool {
	newest, moved := int64(-1), time.Now()
	for {
		now := r.Messages()
		if now >= messages {
			return true
		}
		if now != newest {
			newest, moved = now, time.Now()
		}
		if time.Since(moved) > patience {
			return false
		}
		time.Sleep(tick)
	}
}
