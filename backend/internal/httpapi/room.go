package httpapi

import (
	"errors"
	"net/netip"
	"sync"

	"github.com/gin-gonic/gin"
)

// errFull is why a subscription is turned away that would be one too many.
var errFull = errors.New("no room for another subscription")

// room counts open subscriptions, and lets no more in than there may be.
type room struct {
	most       int // in all
	mostOfEach int // of one address, 0 for any number

	mu   sync.Mutex
	open int
	from map[netip.Addr]int // none if there is no limit for one address
}

func newRoom(most, mostOfEach int) *room {
	return &room{most: most, mostOfEach: mostOfEach, from: make(map[netip.Addr]int)}
}

// enter counts a subscription of an address until leave is called, or returns errFull.
func (r *room) enter(from netip.Addr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open >= r.most {
		return errFull
	}
	if r.mostOfEach > 0 {
		if r.from[from] >= r.mostOfEach {
			return errFull
		}
		r.from[from]++
	}
	r.open++
	return nil
}

func (r *room) leave(from netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	if r.mostOfEach == 0 {
		return
	}
	if r.from[from]--; r.from[from] == 0 {
		delete(r.from, from)
	}
}

// ipv6Site is the part of an IPv6 address that tells one site from another. Whoever has
// one address of it has all of them (RFC 6177).
const ipv6Site = 64

// clientOf returns the address of a client: the last one in X-Forwarded-For that no
// trusted proxy has, where the connection comes from one.
func clientOf(c *gin.Context) netip.Addr {
	addr, err := netip.ParseAddr(c.ClientIP())
	if err != nil {
		return netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		site, _ := addr.Prefix(ipv6Site) // it has that many bits
		return site.Addr()
	}
	return addr
}
