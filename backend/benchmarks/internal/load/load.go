// Package load puts a server of event streams under load, at little cost of its own: one
// thread reads all connections, and counts what they get. It knows nothing of who
// serves.
package load

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"
)

// Target is what a connection asks for.
type Target struct {
	host    string
	addr    *net.TCPAddr
	request []byte
}

// NewTarget returns the target with that address, for instance
// "http://127.0.0.1:4000/events?channel=updates". The host must be an IPv4 address of
// this machine.
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
	// waiting bounds the connections that wait for their answer at one time.
	waiting = 256
	// openPatience is how long none of them may get one.
	openPatience = 30 * time.Second
	tick         = time.Millisecond
)

// Open opens n connections, the i-th to the target of that number, and returns when all
// are answered with an event stream. Close closes them also after an error.
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
			return fmt.Errorf("%s answered %d of %d connections, and none within %s", target(i-1).host, newest-before, n, openPatience)
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

// Await waits until that many messages have come, or none has for the time of patience.
// It reports which.
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
