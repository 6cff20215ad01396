package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/internal/hub"
	"sluice/internal/test/redistest"
)

// streamModel is a stream that changes at random, and what was published to it. Each payload is
// unique.
type streamModel struct {
	t               *testing.T
	rand            *rand.Rand
	redis           *redis.Client
	nodes           []gateway
	steady, roaming []*roamer
	log             []string // for the report of a failure
	unread          bool     // a node may not have read the newest change
	head            string   // the newest payload when both nodes had read all

	added     int               // payloads, in any stream
	published []string          // the payloads that were in the stream, in their order
	order     map[string]int    // of these payloads, from 1
	newest    map[string]string // the newest payload of each stream, empty if the stream does not exist
	previous  map[string]string // the payload that was added to the stream before a payload
	restored  map[string][]int  // len(published) whenever a stream with the payload was restored
}

// roamer is a client with connections to one node after another.
type roamer struct {
	m       *streamModel
	name    string
	request hub.Request // with the id that the client has
	start   int         // the order of the first payload that the client must receive
	at      []string    // the payloads that may be at the first position
	removed []string    // the payloads that were removed before the client subscribed
	got     []receipt   // over all connections
	conn    *testClient // nil if disconnected
	first   int         // the index in got of the first receipt of conn
}

// receipt is a payload, or "gap".
type receipt struct {
	text, id  string
	published int      // payloads when the client received it
	at        []string // the payloads that may be at its position
}

func (m *streamModel) note(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

func (m *streamModel) entries(key string) (ids, payloads []string) {
	for _, e := range m.redis.XRange(m.t.Context(), key, "-", "+").Val() {
		ids, payloads = append(ids, e.ID), append(payloads, e.Values["data"].(string))
	}
	return ids, payloads
}

func (m *streamModel) publish(payload string) {
	m.published = append(m.published, payload)
	m.order[payload] = len(m.published)
}

// add adds entries to a stream. Their ids are small if possible, so other lives have the same ids.
func (m *streamModel) add(tx redis.Pipeliner, key string) {
	last := 0
	if m.newest[key] != "" {
		id, _, _ := strings.Cut(m.redis.XInfoStream(m.t.Context(), key).Val().LastGeneratedID, "-")
		last, _ = strconv.Atoi(id)
	}
	kind := m.rand.IntN(5)
	for range 1 + m.rand.IntN(6) {
		id := "*"
		switch {
		case last > 1000 || kind == 0:
		case kind == 1:
			id = fmt.Sprint(max(last, 1), "-*")
		default:
			last++
			id = fmt.Sprint(last, "-0")
		}
		m.added++
		payload := fmt.Sprint(m.added)
		if key == "s" {
			m.publish(payload)
		}
		m.previous[payload], m.newest[key] = m.newest[key], payload
		tx.XAdd(context.Background(), &redis.XAddArgs{Stream: key, ID: id, Values: []any{"data", payload}})
	}
}

// rename replaces a stream by another.
func (m *streamModel) rename(tx redis.Pipeliner, from, to string) {
	if to == "s" {
		before := len(m.published)
		_, payloads := m.entries(from)
		for _, payload := range payloads {
			if m.order[payload] == 0 { // it was added elsewhere
				m.publish(payload)
			}
		}
		for payload := m.newest[from]; payload != ""; payload = m.previous[payload] {
			m.restored[payload] = append(m.restored[payload], before)
		}
	}
	m.newest[to], m.newest[from] = m.newest[from], ""
	tx.Rename(context.Background(), from, to)
}

// change changes the stream, or another one that may replace it.
func (m *streamModel) change() {
	ctx := context.Background()
	kind := m.rand.IntN(17)
	if kind >= 6 && m.unread {
		m.settle() // no node can see an entry that was added and removed since it read the stream
	}
	ids, _ := m.entries("s")
	commands, err := m.redis.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		switch {
		case kind < 6:
			m.add(tx, "s")
		case kind < 9:
			m.newest["s"] = ""
			tx.Del(ctx, "s")
			if kind == 8 {
				m.add(tx, "s")
			}
		case kind == 9 && len(ids) > 0:
			tx.XDel(ctx, "s", ids[m.rand.IntN(len(ids))])
		case kind == 10 || kind == 11:
			if kind == 10 {
				m.add(tx, "s")
			}
			tx.XTrimMaxLen(ctx, "s", int64(m.rand.IntN(4)))
		case kind < 14 && m.newest["away"] != "":
			m.rename(tx, "away", "s")
		case kind < 14 && m.newest["s"] != "":
			m.rename(tx, "s", "away")
		case kind == 14 && m.newest["away"] != "":
			m.add(tx, "away")
		case kind == 15 && m.newest["s"] != "":
			m.newest["copy"] = m.newest["s"]
			tx.Copy(ctx, "s", "copy", 0, true)
		case kind == 16 && m.newest["copy"] != "":
			m.rename(tx, "copy", "s")
		}
		return nil
	})
	m.note("%v", commands)
	if err != nil {
		m.t.Fatal(commands)
	}
	m.unread = true
}

// settle waits until both nodes have read the stream.
func (m *streamModel) settle() {
	for _, node := range m.nodes {
		node.settle(m.t, "stream:s")
	}
	m.unread, m.head = false, m.newest["s"]
	m.note("both nodes have read it")
	for _, r := range m.steady {
		r.read()
	}
}

// subscribe returns a client that connects for the first time.
func (m *streamModel) subscribe(name string, node int) *roamer {
	r := &roamer{m: m, name: name, start: len(m.published) + 1, at: []string{m.newest["s"], m.head}}
	r.request.Topics = topics(m.t, "stream:s")
	_, present := m.entries("s")
	for _, payload := range m.published {
		if !slices.Contains(present, payload) {
			r.removed = append(r.removed, payload)
		}
	}
	switch m.rand.IntN(3) {
	case 0:
		r.request.Start = true
		if len(present) > 0 {
			r.start = m.order[present[0]]
		}
	case 1: // a node may count deleted entries, so only those after the first one that arrives are sure
		if m.unread {
			m.settle() // else they can be of two lives, in the order of the ids
		}
		r.request.Last = 1 + m.rand.IntN(8)
	}
	r.connect(node)
	return r
}

func (r *roamer) connect(node int) {
	r.conn = r.m.nodes[node].subscribe(r.m.t, r.request)
	r.first = len(r.got)
	r.m.note("    %s connects to node %d: %+v, open id %s", r.name, node, r.request, r.conn.openID)
}

func (r *roamer) read() {
	r.conn.read()
	for _, f := range r.conn.got {
		g := receipt{f.data, f.id, len(r.m.published), []string{f.data}}
		if f.isGap() {
			g.text, g.at = "gap", []string{r.m.newest["s"], r.m.head}
		}
		r.got = append(r.got, g)
		r.m.note("    %s receives %s %s", r.name, g.text, g.id)
	}
	r.conn.got = nil
}

// disconnect closes the connection. The newest frames may be lost with it.
func (r *roamer) disconnect() {
	r.conn.close()
	if r.m.rand.IntN(3) == 0 {
		r.got = r.got[:r.first+r.m.rand.IntN(len(r.got)-r.first+1)]
	}
	r.checkRepeated()
	id := r.conn.openID
	if len(r.got) > r.first {
		id = r.got[len(r.got)-1].id
	}
	r.m.note("    %s disconnects with the id %s", r.name, id)
	r.request.IDs, r.conn = []string{id}, nil
}

// checkRepeated checks that the connection delivered no payload twice, unless its stream was restored.
func (r *roamer) checkRepeated() {
	times := map[string]int{}
	for _, g := range r.got[r.first:] {
		times[g.text]++
		if g.text != "gap" && times[g.text] > 1+len(r.m.restored[g.text]) {
			r.fail("received %s again in the same connection", g.text)
		}
	}
}

// check checks that there is a gap wherever the client missed a payload.
func (r *roamer) check() {
	m := r.m
	r.checkRepeated()
	covered := r.start - 1 // payloads that were received, or a gap was after them
	last, at, isGap := "", r.at, true
	received := slices.Clone(r.removed) // or removed before the client subscribed
	for _, g := range r.got {
		if !slices.Contains(m.steady, r) {
			covered = max(covered, m.restorations(at, g.published))
		}
		at = g.at
		if g.text == "gap" {
			covered, isGap = max(covered, g.published), true
			continue
		}
		order := m.order[g.text]
		for _, missed := range m.published[min(covered, order-1) : order-1] {
			if !slices.Contains(received, missed) {
				r.fail("missed %s before %s without a gap", missed, g.text)
			}
		}
		// With the right counts, a restored stream looks like the present one after a trim.
		if !isGap && order <= m.order[last] && m.restored[g.text] == nil {
			r.fail("received %s after %s without a gap", g.text, last)
		}
		covered = max(covered, order)
		last, isGap, received = g.text, false, append(received, g.text)
	}
	if m.order[last] != len(m.published) {
		r.fail("did not receive the newest payload")
	}
}

// restorations returns the number of payloads before the newest time, up to a number, at which a stream
// with one of the payloads was restored. A cursor there is the same as before, so the lives between can be
// missed without a gap.
func (m *streamModel) restorations(payloads []string, upTo int) (published int) {
	for _, payload := range payloads {
		for _, before := range m.restored[payload] {
			if before <= upTo {
				published = max(published, before)
			}
		}
	}
	return published
}

func (r *roamer) fail(format string, args ...any) {
	r.m.t.Errorf("%s %s", r.name, fmt.Sprintf(format, args...))
}

func (m *streamModel) step() {
	switch kind := m.rand.IntN(10); {
	case kind < 4:
		m.change()
		if m.rand.IntN(4) > 0 {
			m.settle()
		}
	case kind == 4 && len(m.roaming) < 6:
		m.roaming = append(m.roaming, m.subscribe(fmt.Sprint("client", len(m.roaming)), m.rand.IntN(2)))
	case len(m.roaming) > 0:
		switch r := m.roaming[m.rand.IntN(len(m.roaming))]; {
		case r.conn == nil:
			r.connect(m.rand.IntN(2))
		case m.rand.IntN(2) == 0:
			r.read()
		default:
			r.read()
			r.disconnect()
		}
	}
}

// finish connects all clients, and checks what they received.
func (m *streamModel) finish() {
	m.settle()
	all := slices.Concat(m.steady, m.roaming)
	for _, r := range all {
		if r.conn == nil {
			r.connect(m.rand.IntN(2))
		}
		r.read() // a client that is slow may get a gap instead of the newest entry
	}
	_, err := m.redis.TxPipelined(m.t.Context(), func(tx redis.Pipeliner) error {
		m.add(tx, "s")
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.settle()
	for _, r := range all {
		r.read()
		r.conn.close()
		r.check()
	}
}

// Clients resume at one of two nodes that follow the stream, which changes at random. Each gets all
// entries that were published since it subscribed, or a gap where some are missing. SLUICE_SEEDS is
// the number of seeds.
func TestStream_RoamingClientsHaveNoSilentHole(t *testing.T) {
	t.Parallel()
	seeds := 30
	if n, err := strconv.Atoi(os.Getenv("SLUICE_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			m := &streamModel{
				t: t, rand: rand.New(rand.NewPCG(uint64(seed), 1)), redis: server.Client(),
				order: map[string]int{}, newest: map[string]string{}, previous: map[string]string{}, restored: map[string][]int{},
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Log("\n" + strings.Join(m.log, "\n"))
				}
			})
			for node := range 2 {
				m.nodes = append(m.nodes, redisGateway(t, server, history(3))) // so lives leave the journal soon
				m.steady = append(m.steady, m.subscribe(fmt.Sprint("steady", node), node))
			}
			for range 80 {
				m.step()
			}
			m.finish()
		})
	}
}
