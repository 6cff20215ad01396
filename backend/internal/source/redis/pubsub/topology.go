package pubsub

import "slices"

// Topology is the set of servers and their slots.
type Topology struct {
	servers []server
	slots   []slotRange // of a cluster, sorted, without overlaps; none for a single server, which owns everything
	nodes   []string    // addresses of the nodes that have slots, and of their replicas, sorted
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
	if len(t.slots) == 0 && len(t.servers) == 1 {
		return t.servers[0], true
	}
	i, _ := slices.BinarySearchFunc(t.slots, slot, func(r slotRange, slot int) int { return r.last - slot })
	if i < len(t.slots) && t.slots[i].first <= slot {
		return t.slots[i].owner, true
	}
	return server{}, false
}

func (t Topology) equal(other Topology) bool {
	return slices.Equal(t.servers, other.servers) && slices.Equal(t.slots, other.slots) && slices.Equal(t.nodes, other.nodes)
}

// unserved returns the slots of the servers in down, and the slots without an owner.
func (t Topology) unserved(down map[server]bool) Slots {
	if len(t.slots) == 0 {
		return nil
	}
	var out Slots
	next := 0 // the first slot that was not looked at
	for _, r := range t.slots {
		out = out.add(next, r.first-1)
		if down[r.owner] {
			out = out.add(r.first, r.last)
		}
		next = r.last + 1
	}
	return out.add(next, slots-1)
}

// tag returns a hash tag whose slot a server owns, "" if it owns none.
func (t Topology) tag(s server) string {
	i := slices.IndexFunc(t.slots, func(r slotRange) bool { return r.owner == s })
	if i < 0 {
		return ""
	}
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
	var masters []Master
	for _, s := range t.servers {
		if tag := t.tag(s); tag != "" {
			masters = append(masters, Master{s.id, s.addr, tag})
		}
	}
	return masters
}

// Owner returns the id of the server that owns a key.
func (t Topology) Owner(key string) (id string, ok bool) {
	s, ok := t.owner(SlotOf(key))
	return s.id, ok
}
