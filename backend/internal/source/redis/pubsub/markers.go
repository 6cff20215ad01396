package pubsub

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/source/marker"
	"sluice/internal/source/redis/reconnect"
)

const (
	// markerInterval is the time between two looks at whether a marker has arrived, so a server can be
	// without one for almost twice as long.
	markerInterval = 3 * time.Second
	// markerSpacing bounds the rate of markers that are asked for.
	markerSpacing = 50 * time.Millisecond
)

// markerPublisher publishes markers, and receives those of all gateways.
type markerPublisher struct {
	client  *redis.Client
	channel string
	now     chan struct{} // holds a value if a marker is asked for
	log     *marker.Log   // of the present connection; used by its reader alone

	mu      sync.Mutex
	arrived chan struct{} // closed when a marker arrives
}

func newMarkerPublisher(client *redis.Client, channel string) *markerPublisher {
	return &markerPublisher{client: client, channel: channel, now: make(chan struct{}, 1), arrived: make(chan struct{})}
}

// run publishes a marker when one is asked for, and when none has arrived for an interval:
// the rate does not grow with the number of gateways.
func (p *markerPublisher) run(ctx context.Context) {
	tick := time.NewTicker(markerInterval)
	defer tick.Stop()
	next := marker.Marker{Node: newNode()}
	arrived := p.arrival()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.now:
		case <-tick.C:
			select {
			case <-arrived:
				arrived = p.arrival()
				continue
			default:
			}
		}
		next.Sequence++
		if p.client.Publish(ctx, p.channel, next.String()).Err() != nil {
			// Redis may still publish it, out of order: it must be the last of its node.
			next = marker.Marker{Node: newNode()}
		}
		reconnect.Wait(ctx, markerSpacing)
	}
}

// arrival returns a channel that is closed when the next marker arrives.
func (p *markerPublisher) arrival() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.arrived
}

// Confirmed implements [Receiver].
func (p *markerPublisher) Confirmed(_ bool, _ *marker.View) {
	wake(p.now)
}

// Message implements [Receiver].
func (p *markerPublisher) Message(_, payload string) {
	m, ok := marker.Parse(payload)
	if !ok {
		return // not from a gateway
	}
	p.log.Add(m)
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.arrived)
	p.arrived = make(chan struct{})
}
