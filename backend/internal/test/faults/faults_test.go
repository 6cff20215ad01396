package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/event"
	"sluice/internal/test/proctest"
)

var durable = []string{"--appendonly", "yes"}

// Limits on the gaps of streams.
const (
	mayMiss  = false // entries may be missing at announced gaps
	missNone = true
)

// TestAudit_Faults audits channels, streams and keys on two gateways during faults. Some
// subscribers stay at a gateway and others move between them.
func TestAudit_Faults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		setup   setup
		streams bool // streams lose no entries and have no gaps
		fault   func(*rig)
	}{
		{"redis is killed and restarts with its data", setup{redis: durable}, missNone, func(r *rig) {
			r.redis.Kill()
			r.awaitFailures()
			r.redis.Restart()
		}},
		{"redis is killed and restarts empty", setup{}, mayMiss, func(r *rig) {
			r.redis.Kill()
			r.awaitFailures()
			r.redis.Restart()
		}},
		{"redis is frozen until commands time out", setup{}, missNone, func(r *rig) {
			r.redis.Pause()
			r.awaitFailures()
			r.redis.Continue()
		}},
		{"pub/sub connections are killed", setup{}, missNone, func(r *rig) {
			for range 3 {
				r.do("CLIENT", "KILL", "TYPE", "pubsub")
				r.settle()
			}
		}},
		{"all other connections are killed", setup{}, missNone, func(r *rig) {
			for range 3 {
				r.do("CLIENT", "KILL", "TYPE", "normal")
				r.settle()
			}
		}},
		{"a gateway reads too slowly for redis", setup{}, missNone, overflow},
		{"the connections of a gateway are half-dead", setup{proxied: true}, missNone, func(r *rig) {
			r.proxy.Drop()
		}},
		{"a gateway is killed", setup{}, missNone, func(r *rig) {
			r.gateways[0].Kill()
			r.settle()
			r.gateways[0].Restart()
		}},
		{"a gateway drains", setup{}, missNone, func(r *rig) {
			r.gateways[0].Drain()
			r.settle()
			r.gateways[0].Restart()
		}},
		{"one gateway after the other is replaced", setup{}, missNone, func(r *rig) {
			for _, g := range r.gateways {
				g.Drain()
				g.Restart()
				r.settle()
			}
		}},
		{"the stream is deleted", setup{}, mayMiss, func(r *rig) {
			r.do("DEL", r.name(event.Stream))
			r.published(20)
		}},
		{"the stream is created again while the gateways are frozen", setup{}, mayMiss, func(r *rig) {
			for _, g := range r.gateways {
				g.Signal(proctest.Freeze)
			}
			r.published(20)
			before := r.publication(event.Stream).Begun()
			r.do("DEL", r.name(event.Stream))
			r.published(before + 20) // so more entries were added than before
			for _, g := range r.gateways {
				g.Signal(proctest.Thaw)
			}
		}},
		{"the ids of the stream leap", setup{}, missNone, func(r *rig) {
			r.do("XSETID", r.name(event.Stream), "99999999999999-0")
			r.published(20)
		}},
		{"everything is flushed", setup{}, mayMiss, func(r *rig) {
			r.do("FLUSHALL")
			r.published(20)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, test.setup)
			test.fault(r)
			sums := r.finish()
			if s := sums[event.Stream]; test.streams == missNone && (s.Announced > 0 || s.Gaps > 0) {
				t.Errorf("got %d gaps in streams, %d missing entries there", s.Gaps, s.Announced)
			}
		})
	}
}

// overflow makes Redis close the Pub/Sub connection of a frozen gateway because its output buffer
// is full.
func overflow(r *rig) {
	r.do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 64kb 32kb 1")
	subscribed := func() int { return strings.Count(r.do("CLIENT", "LIST", "TYPE", "pubsub").String(), "cmd=") }
	before := subscribed()
	// The numbered messages are too small to fill the socket buffers, and other messages to their
	// channel would be counted. The markers' channel is on the same connection, and gateways ignore
	// unknown messages there.
	const name = "__sluice__:markers"
	ballast := strings.Repeat("x", 64<<10)
	r.gateways[0].Signal(proctest.Freeze)
	defer r.gateways[0].Signal(proctest.Thaw)
	await(r.t, "redis gives up the connection", func() bool {
		for range 20 {
			r.do("PUBLISH", name, ballast)
		}
		return subscribed() < before
	})
}

// A failover to a replica without the newest entries is like a server that restarts with an older
// copy of its data.
func TestAudit_RedisLosesNewestEntries(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		forgotten int64
		quiet     bool // no message is published until the gateways have reconnected
	}{
		{20, false}, {300, false}, {20, true}, {300, true},
	} {
		t.Run(fmt.Sprintf("forgotten=%d,quiet=%v", test.forgotten, test.quiet), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			// The key has an older value after this fault. An audit of increasing numbers reports
			// that as a fault, so it has no key.
			r := newRig(t, setup{
				kinds: []event.Kind{event.Channel, event.Stream},
				redis: append([]string{"--dir", dir}, durable...),
			})
			backup := filepath.Join(t.TempDir(), "appendonlydir")
			if err := os.CopyFS(backup, os.DirFS(filepath.Join(dir, "appendonlydir"))); err != nil {
				t.Fatal(err)
			}
			r.published(test.forgotten)
			r.settle()
			if test.quiet {
				r.quiet.Lock()
			}
			r.redis.Kill()
			if !test.quiet {
				r.awaitFailures()
			}
			if err := os.RemoveAll(filepath.Join(dir, "appendonlydir")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(backup, filepath.Join(dir, "appendonlydir")); err != nil {
				t.Fatal(err)
			}
			r.redis.Restart()
			if test.quiet {
				for _, s := range r.subscribers {
					if strings.HasPrefix(s.name, "at gateway") && strings.Contains(s.name, "stream:") {
						await(t, s.name+" is told of a gap", func() bool { return len(s.gaps()) > 0 })
					}
				}
				r.quiet.Unlock()
			}
			r.finish()
		})
	}
}

func TestStream_TrimWhileDisconnectedIsGap(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{kinds: []event.Kind{event.Stream}, gateway: []string{"--history-events", "16"}})
	away := r.subscribe("away", steady(r.targets, 0), r.publications[0])
	away.start()
	r.settle()
	away.leave()
	r.subscribers = r.subscribers[:len(r.subscribers)-1]
	r.published(100)
	r.settle()
	r.do("XTRIM", r.name(event.Stream), "MAXLEN", 10)
	r.subscribers = append(r.subscribers, away)
	away.start()
	r.finish()
	if got := strings.Join(away.gaps(), ", "); got != "history-expired <nil>" {
		t.Errorf("got gaps %q", got)
	}
	// Excludes the entries that Redis or the gateway still had.
	if missing := away.books.Results()[r.publications[0].Topic].Announced; missing < 100-10-16 {
		t.Errorf("got %d missing entries at the gap", missing)
	}
}
