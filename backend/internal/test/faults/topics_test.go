package faults_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/test/proctest"
)

// topicFault is a fault of the topics, their permissions, or the connections of the gateways, while
// Redis and the gateways keep running.
type topicFault struct {
	name   string
	gaps   []event.Kind // kinds of topics that may have gaps
	inject func(*rig)
	// prompt is set if lagging clients can miss entries without a gap, because an older copy
	// replaces the stream.
	prompt bool
}

// rounds is how often a short fault is repeated.
const rounds = 5

var topicFaults = []topicFault{
	{name: "the stream is created again at once", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for range rounds {
			r.transact(func(b *batch) {
				b.Del(b.ctx, b.name)
				b.add(1)
			})
			r.published(10)
		}
	}},
	{name: "the ids of the stream occur again", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for range rounds {
			r.transact(func(b *batch) {
				b.restart()
				b.add(1)
			})
			r.published(40)
		}
		r.chooseIDs()
	}},
	{name: "the stream is created again with the same ids", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for _, change := range []int{0, -7, 100, 0, -1, 1} {
			r.transact(func(b *batch) {
				b.restart()
				b.add(20)
			})
			r.published(20)
			r.settle()
			r.transact(func(b *batch) {
				before := int(r.ids.last)
				b.restart()
				b.add(before + change)
			})
			r.published(20)
		}
		r.chooseIDs()
	}},
	{name: "the stream is deleted by a transaction that adds nothing after it", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for range rounds {
			r.transact(func(b *batch) {
				b.add(3)
				b.Del(b.ctx, b.name)
			})
			r.published(10)
		}
	}},
	{name: "the stream is replaced by an older copy", gaps: []event.Kind{event.Stream}, prompt: true, inject: func(r *rig) {
		name := r.name(event.Stream)
		for added := range 3 {
			r.do("COPY", name, name+" copy", "REPLACE")
			r.published(20)
			r.transact(func(b *batch) {
				b.Rename(b.ctx, name+" copy", name)
				b.add(1 + 50*added)
			})
			r.published(20)
		}
	}},
	{name: "the stream is renamed and renamed back", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		name := r.name(event.Stream)
		r.still(func() {
			before := r.gapsAt(event.Stream)
			r.do("RENAME", name, name+" away")
			await(r.t, "gaps at both gateways", func() bool { return r.gapsAt(event.Stream) > before+1 })
			r.do("RENAME", name+" away", name)
		})
	}},
	{name: "one gateway misses lives of the stream", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for i := range r.gateways {
			r.frozen(func() {
				for range rounds {
					r.transact(func(b *batch) {
						b.restart()
						b.add(1)
					})
					r.published(20)
				}
			}, i)
		}
		r.chooseIDs()
	}},
	{name: "both gateways miss lives of the stream", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for _, added := range []int{1, 5, 200, 700} {
			r.frozen(func() {
				for range 2 {
					r.transact(func(b *batch) {
						b.restart()
						b.add(added)
					})
					r.published(int64(added / 4))
				}
			}, 0, 1)
		}
		r.chooseIDs()
	}},
	{name: "one gateway misses entries that are trimmed and deleted", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for i := range r.gateways {
			r.frozen(func() {
				for n := range rounds {
					r.transact(func(b *batch) {
						ids := b.add(20)
						if n%2 == 0 {
							b.XDel(b.ctx, b.name, ids[3], ids[11])
						} else {
							b.XTrimMaxLen(b.ctx, b.name, 5)
						}
					})
					r.published(20)
				}
			}, i)
		}
	}},
	{name: "a gateway starts after the stream was created again", gaps: []event.Kind{event.Stream, event.Channel}, inject: func(r *rig) {
		for i, g := range r.gateways {
			g.Kill()
			r.transact(func(b *batch) {
				b.restart()
				b.add(10 * (i + 1))
			})
			r.published(20)
			g.Restart()
			r.transact(func(b *batch) {
				b.restart()
				b.add(30)
			})
			r.settle()
		}
		r.chooseIDs()
	}},
	{name: "the stream is trimmed before it is read", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for _, keep := range []int64{1, 0, 3, 0, 1} {
			r.transact(func(b *batch) {
				b.add(5)
				b.XTrimMaxLen(b.ctx, b.name, keep)
			})
			r.published(10)
		}
	}},
	{name: "the stream is trimmed before it is read, again and again", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for range 5 * rounds {
			r.transact(func(b *batch) {
				b.add(5)
				b.XTrimMaxLen(b.ctx, b.name, 2)
			})
		}
	}},
	{name: "the stream expires", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for range rounds {
			r.transact(func(b *batch) {
				b.add(3)
				b.PExpire(b.ctx, b.name, time.Millisecond)
			})
			r.published(10)
		}
	}},
	{name: "the stream is trimmed after it was read", inject: func(r *rig) {
		for range rounds {
			r.still(func() { r.do("XTRIM", r.name(event.Stream), "MAXLEN", 1) })
			r.published(10)
			r.settle()
			r.still(func() { r.do("XTRIM", r.name(event.Stream), "MAXLEN", 0) })
			r.published(10)
			r.settle()
		}
	}},
	{name: "entries are deleted before they are read", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for _, deleted := range [][]int{{1}, {4}, {0}, {1, 3}, {0, 1, 2, 3, 4}, {3, 4}, {0, 2}} {
			r.transact(func(b *batch) {
				ids := b.add(5)
				var some []string
				for _, i := range deleted {
					some = append(some, ids[i])
				}
				b.XDel(b.ctx, b.name, some...)
			})
			r.published(10)
		}
	}},
	{name: "entries are deleted after they were read", inject: func(r *rig) {
		for skip := range 4 {
			r.still(func() {
				entries, err := r.client.XRevRangeN(r.t.Context(), r.name(event.Stream), "+", "-", 60).Result()
				if err != nil {
					r.t.Fatal(err)
				}
				for i, e := range entries {
					if i >= skip && i%3 == 0 {
						r.do("XDEL", r.name(event.Stream), e.ID)
					}
				}
			})
			r.published(20)
			r.settle()
		}
	}},
	{name: "redis forbids the stream and allows it again", inject: func(r *rig) { forbidden(r, event.Stream) }},
	{name: "the stream changes while redis forbids it", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for _, change := range []func(b *batch){
			func(b *batch) { b.XTrimMaxLen(b.ctx, b.name, 3) },
			func(b *batch) { b.restart(); b.add(5) },
			func(b *batch) { b.restart(); b.add(100) },
		} {
			r.forbid(event.Stream)
			r.published(10)
			r.transact(func(b *batch) { b.add(1); change(b) })
			r.published(10)
			r.allow()
			r.settle()
		}
		r.chooseIDs()
	}},
	{name: "redis forbids the channel and allows it again", gaps: []event.Kind{event.Channel}, inject: func(r *rig) { forbidden(r, event.Channel) }},
	{name: "redis forbids the key and allows it again", gaps: []event.Kind{event.Key}, inject: func(r *rig) { forbidden(r, event.Key) }},
	{name: "another program overwrites settings", inject: func(r *rig) {
		for _, flags := range []string{"", "KEA", ""} {
			r.do("CONFIG", "SET", "notify-keyspace-events", flags)
			r.settle()
		}
	}},
	{name: "redis limits the output of commands", inject: func(r *rig) {
		r.do("CONFIG", "SET", "client-output-buffer-limit", "normal 32kb 0 0")
		r.frozen(func() { r.published(300) }, 0, 1)
		r.do("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
	}},
	{name: "redis closes the pub/sub connections", gaps: []event.Kind{event.Channel}, inject: func(r *rig) { killed(r, "P") }},
	{name: "redis closes the connections that track keys", inject: func(r *rig) { killed(r, "t") }},
	{name: "redis closes the connections that wait for entries", inject: func(r *rig) { killed(r, "b") }},
	{name: "redis closes the connections of commands", gaps: []event.Kind{event.Channel}, inject: func(r *rig) { killed(r, "N") }},
	{name: "redis closes all connections of the gateways", gaps: []event.Kind{event.Channel}, inject: func(r *rig) {
		for range rounds {
			r.do("CLIENT", "KILL", "USER", "gateway")
			r.settle()
		}
	}},
	{name: "everything is flushed", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		for _, command := range []string{"FLUSHALL", "FLUSHDB"} {
			r.do(command)
			r.published(20)
			r.do(command, "ASYNC")
			r.settle()
		}
	}},
	{name: "the stream is replaced by a value of another type", gaps: []event.Kind{event.Stream}, inject: func(r *rig) {
		r.still(func() {
			name := r.name(event.Stream)
			_, err := r.client.TxPipelined(r.t.Context(), func(tx redis.Pipeliner) error {
				tx.Set(r.t.Context(), name, "a string", 0)
				return nil
			})
			if err != nil {
				r.t.Fatal(err)
			}
			r.awaitStatus(event.Stream, http.StatusConflict)
			r.do("DEL", name)
		})
	}},
	{name: "the key is replaced by values of other types", inject: func(r *rig) {
		name := r.name(event.Key)
		for _, commands := range [][][]any{
			{{"RPUSH", name, "a"}},
			{{"HSET", name, "a", "b"}},
			{{"XADD", name, "1-1", "a", "b"}},
			{{"ZADD", name, 1, "a"}},
		} {
			r.replaceKey(commands...)
			r.settle()
		}
	}},
	{name: "the key is deleted, and expires", inject: func(r *rig) {
		for range rounds {
			r.replace(event.Key, func(ctx context.Context, data []byte) error {
				_, err := r.client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
					tx.Set(ctx, r.name(event.Key), data, 0)
					tx.Del(ctx, r.name(event.Key))
					return nil
				})
				return err
			})
			r.replace(event.Key, func(ctx context.Context, data []byte) error {
				return r.client.Do(ctx, "SET", r.name(event.Key), data, "PX", 1).Err()
			})
			r.published(5)
		}
	}},
}

// forbidden revokes the permission for a topic and restores it.
func forbidden(r *rig, k event.Kind) {
	r.forbid(k)
	r.published(20)
	r.allow()
	r.settle()
}

// killed makes Redis close the connections of the gateways with a flag several times.
func killed(r *rig, flag string) {
	for range rounds {
		r.killConnections(flag)
		r.settle()
	}
}

// gapsAt returns the number of gaps in the topic of a kind that the steady subscribers received.
func (r *rig) gapsAt(k event.Kind) (n int) {
	for _, s := range r.subscribers {
		if strings.HasPrefix(s.name, "at gateway") && strings.HasSuffix(s.name, r.publication(k).Topic.String()) {
			n += len(s.gaps())
		}
	}
	return n
}

// frozen runs a function while some gateways are frozen, and waits until they have caught up.
func (r *rig) frozen(do func(), gateways ...int) {
	r.t.Helper()
	for _, i := range gateways {
		r.gateways[i].Signal(proctest.Freeze)
	}
	do()
	for _, i := range gateways {
		r.gateways[i].Signal(proctest.Thaw)
	}
	r.settle()
}

// chooseIDs lets Redis choose the ids of the stream again.
func (r *rig) chooseIDs() {
	r.t.Helper()
	r.transact(func(b *batch) {
		b.add(1)
		r.ids.given = false
	})
}

// TestAudit_TopicFaults audits during faults of the topics. Topics of other kinds have no gaps.
func TestAudit_TopicFaults(t *testing.T) {
	t.Parallel()
	for _, test := range topicFaults {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{})
			r.gapLog.begin(test.name)
			test.inject(r)
			for k := range r.finish() {
				// A roaming client may get a gap if a marker takes longer than two seconds.
				if n := r.gapsAt(k); n > 0 && !slices.Contains(test.gaps, k) {
					t.Errorf("steady clients got %d gaps in topics of kind %s", n, k)
				}
			}
			t.Logf("gaps:\n%s", &r.gapLog)
		})
	}
}
