package faults_test

import (
	"testing"

	"sluice/internal/event"
)

// withoutKeys excludes keys: after a failover to a replica without the newest writes, the key has
// an older value, which an audit of increasing numbers reports as a fault.
var withoutKeys = []event.Kind{event.Channel, event.Stream}

// TestAudit_SentinelAndCluster is like [TestAudit_Faults], for Redis with Sentinel or as a cluster.
func TestAudit_SentinelAndCluster(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		setup   setup
		streams bool // streams lose no entries and have no gaps
		fault   func(*rig)
	}{
		{"sentinel replaces a master that is killed", setup{form: watched}, missNone, func(r *rig) {
			r.synced(r.redis.Kill)
			r.published(someMessages)
		}},
		{"sentinel replaces a frozen master, which continues later", setup{form: watched, kinds: withoutKeys}, mayMiss, func(r *rig) {
			r.redis.Pause()
			r.published(someMessages)
			r.redis.Continue()
		}},
		{"a slot of a cluster moves there and back, and its master is killed", setup{form: cluster}, missNone, func(r *rig) {
			slot, other := r.cluster.Slot(r.tag), r.cluster.Masters[1]
			r.cluster.MoveSlot(slot, r.redis, other)
			r.settle()
			r.cluster.MoveSlot(slot, other, r.redis)
			r.settle()
			r.synced(r.redis.Kill)
			r.published(someMessages)
		}},
		{"a master of a cluster is frozen, and continues later", setup{form: cluster, kinds: withoutKeys}, mayMiss, func(r *rig) {
			r.redis.Pause()
			r.published(someMessages)
			r.redis.Continue()
			r.settle()
			r.cluster.Replicas[0].Kill()
			r.published(someMessages)
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
			if sums[event.Channel].Gaps == 0 {
				t.Error("got no gap in channels: the fault had no effect")
			}
		})
	}
}
