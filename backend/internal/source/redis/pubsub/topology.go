package pubsub

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Topology is the set of servers and their slots.
type Topology struct {
	servers []server
	slots   []slotRange // sorted, without overlaps
	nodes   []string    // of a cluster: addresses of the nodes that have slots, and of their replicas, sorted
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
func (t Topology) owner(slot int) (server, bool) {
	i, _ := slices.BinarySearchFunc(t.slots, slot, func(r slotRange, slot int) int { return r.last - slot })
	if i < len(t.slots) && t.slots[i].first <= slot {
		return t.slots[i].owner, true
	}
	return server{}, false
}

// unserved returns the slots of the servers in down, and the slots without an owner, as redis-cli
// shows them, for example "0-5460,10923".
func (t Topology) unserved(down map[server]bool) string {
	served := slices.DeleteFunc(slices.Clone(t.slots), func(r slotRange) bool { return down[r.owner] })
	var ranges []string
	next := 0 // the first slot after the served ones
	for _, r := range append(served, slotRange{first: slots}) {
		if last := r.first - 1; last > next {
			ranges = append(ranges, fmt.Sprintf("%d-%d", next, last))
		} else if last == next {
			ranges = append(ranges, strconv.Itoa(last))
		}
		next = r.last + 1
	}
	return strings.Join(ranges, ",")
}

// tag returns a hash tag whose slot a server of the topology owns.
func (t Topology) tag(s server) string {
	i := slices.IndexFunc(t.slots, func(r slotRange) bool { return r.owner == s })
	return slotTags()[t.slots[i].first]
}

// sortedSet returns each address once, in order.
func sortedSet(addresses []string) []string {
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

// Master is a server that owns slots of a cluster.
type Master struct {
	ID   string
	Addr string
	Tag  string // hash tag whose slot the server owns
}

// Masters returns the servers that own slots.
func (t Topology) Masters() []Master {
	masters := make([]Master, len(t.servers))
	for i, s := range t.servers {
		masters[i] = Master{s.id, s.addr, t.tag(s)}
	}
	return masters
}

// Owner returns the id of the server that owns a key.
func (t Topology) Owner(key string) (id string, ok bool) {
	s, ok := t.owner(SlotOf(key))
	return s.id, ok
}
