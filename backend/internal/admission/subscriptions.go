// Package admission decides which connections, subscriptions and publishes the server accepts.
// It does not know about topics or Redis.
package admission

import (
	"errors"
	"net/netip"
	"sync"
)

// ErrFull is returned when the limit of subscriptions is reached, in total or for one address.
var ErrFull = errors.New("subscription limit reached")

// SubscriptionLimiter bounds the open subscriptions. Its methods may be called from any
// goroutine.
type SubscriptionLimiter struct {
	max        int // in total
	maxPerAddr int // of one address, 0 for no limit

	mu     sync.Mutex
	open   int
	byAddr map[netip.Addr]int // empty if maxPerAddr is 0
}

// NewSubscriptionLimiter returns a limiter of that many subscriptions in total and perAddr from
// one address; 0 means no limit per address.
func NewSubscriptionLimiter(total, perAddr int) *SubscriptionLimiter {
	return &SubscriptionLimiter{max: total, maxPerAddr: perAddr, byAddr: make(map[netip.Addr]int)}
}

// Acquire counts a subscription of an address until Release, or returns ErrFull.
func (l *SubscriptionLimiter) Acquire(addr netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.max {
		return ErrFull
	}
	if l.maxPerAddr > 0 {
		if l.byAddr[addr] >= l.maxPerAddr {
			return ErrFull
		}
		l.byAddr[addr]++
	}
	l.open++
	return nil
}

// Release ends the count of a subscription. Each successful Acquire needs one.
func (l *SubscriptionLimiter) Release(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.maxPerAddr == 0 {
		return
	}
	if l.byAddr[addr]--; l.byAddr[addr] == 0 {
		delete(l.byAddr, addr)
	}
}

// siteBits is the length of the IPv6 prefix that one site gets (RFC 6177).
const siteBits = 64

// Site returns the address by which a client is limited. An IPv4 address is unchanged. An IPv6
// address is reduced to its /64 prefix, because one site has all addresses of the prefix.
func Site(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr
	}
	prefix, _ := addr.Prefix(siteBits) // an IPv6 address has that many bits
	return prefix.Addr()
}
