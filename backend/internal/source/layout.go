package source

import (
	"fmt"
	"slices"

	"sluice/internal/source/redis/tracking"
)

// layout says which servers there are, and who owns which slots.
type layout struct {
	servers []server
	// slots are those of a cluster, sorted, without overlaps. Without any, the only server
	// has everything.
	slots []slotRange
	nodes []string // addresses of the nodes that have slots, and of their replicas, sorted
}

// server is a master that clients can connect to.
type server struct {
	id   string // of a cluster's node; empty if it is alone
	addr string
}

type slotRange struct {
	first, last int
	owner       server
}

// owner returns the server that owns a slot.
func (l layout) owner(slot int) (server, bool) {
	if len(l.slots) == 0 && len(l.servers) == 1 {
		return l.servers[0], true
	}
	i, _ := slices.BinarySearchFunc(l.slots, slot, func(r slotRange, slot int) int { return r.last - slot })
	if i < len(l.slots) && l.slots[i].first <= slot {
		return l.slots[i].owner, true
	}
	return server{}, false
}

func (l layout) equal(other layout) bool {
	return slices.Equal(l.servers, other.servers) && slices.Equal(l.slots, other.slots) && slices.Equal(l.nodes, other.nodes)
}

// complete returns an error if a cluster has slots that nobody owns.
func (l layout) complete() error {
	if len(l.slots) == 0 {
		return nil
	}
	owned := 0
	for _, r := range l.slots {
		owned += r.last - r.first + 1
	}
	if owned < slots {
		return fmt.Errorf("%w: no server has %d of the cluster's slots", ErrUnavailable, slots-owned)
	}
	return nil
}

// sortedSet returns each address once, in order.
func sortedSet(addresses []string) []string {
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

// masters returns the servers that own slots, as key tracking needs them, and the owner of a
// key.
func (l layout) masters() (masters []tracking.Master, owner func(key string) (id string, ok bool)) {
	tags := make(map[server]string)
	for _, r := range l.slots {
		tags[r.owner] = slotTags()[r.first]
	}
	for s, tag := range tags {
		masters = append(masters, tracking.Master{ID: s.id, Addr: s.addr, Tag: tag})
	}
	return masters, func(key string) (string, bool) {
		s, ok := l.owner(slotOf(key))
		return s.id, ok
	}
}
