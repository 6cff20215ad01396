package faults_test

import (
	"testing"

	"sluice/internal/event"
)

// A key goes back to an older value when a replica takes over that lacks the newest
// writes, which no audit of numbers that grow can tell from a fault.
var withoutKeys = []event.Kind{event.Channel, event.Stream}

// TestAudit_HoldsOnSeveralServersWhen is [TestAudit_HoldsWhen] for Redis as Sentinel or a
// cluster keeps it going.
func TestAudit_HoldsOnSeveralServersWhen(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		setup   setup
		streams bool // nothing of a stream is missing, and no gap is announced
		fault   func(*rig)
	}{
		{"sentinel replaces a master that is killed", setup{form: watched}, missNone, func(r *rig) {
			r.synced(r.redis.Kill)
			r.published(someMessages)
		}},
		{"sentinel replaces a master that stands still, and comes back", setup{form: watched, kinds: withoutKeys}, mayMiss, func(r *rig) {
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
		{"a master of a cluster stands still, and comes back", setup{form: cluster, kinds: withoutKeys}, mayMiss, func(r *rig) {
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
				t.Errorf("%d gaps in streams, %d entries missing there", s.Gaps, s.Announced)
			}
			if sums[event.Channel].Gaps == 0 {
				t.Error("no gap in channels: the fault did not reach them")
			}
		})
	}
}
