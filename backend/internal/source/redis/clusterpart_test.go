package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/test/redistest"
)

func TestCluster_LostMasterWithoutReplica(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		coverage string // value of cluster-require-full-coverage
		lose     func(*redistest.Server)
		find     func(*redistest.Server)
		unserved string
	}{
		{"killed", "no", (*redistest.Server).Kill, (*redistest.Server).Restart, "10922-16383"},
		{"frozen", "no", (*redistest.Server).Pause, (*redistest.Server).Continue, "10922-16383"},
		{"killed, and the others refuse keys", "yes", (*redistest.Server).Kill, (*redistest.Server).Restart, "0-16383"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cluster := redistest.StartCluster(t, 3, 0, 3*time.Second) // a busy machine holds up a master that is not lost
			for _, master := range cluster.Masters {
				master.Do("CONFIG", "SET", "cluster-require-full-coverage", tt.coverage)
			}
			lost, kept := cluster.Masters[2], cluster.Masters[0]
			log := new(logLines)
			src := connect(t, cluster, newLog(log))
			becomesReady(t, src)
			before := followTopics(t, src, newTopics(cluster, kept, event.Kinds...)...)
			beforeLost := followTopics(t, src, newTopics(cluster, lost, event.Kinds...)...)
			before.publish(t, src, event.Kinds...)

			tt.lose(lost)
			found := sync.OnceFunc(func() { tt.find(lost) })
			defer found()
			eventually(t, "the cluster knows", func() bool {
				return strings.Contains(fmt.Sprint(kept.Do("CLUSTER", "NODES")), "fail ")
			})
			for name, src := range map[string]source.Source{"a gateway": src, "a new gateway": connect(t, cluster, newLog(log))} {
				eventually(t, name+" is ready for the rest", func() bool {
					unserved, err := src.Ready(t.Context())
					return err == nil && unserved == tt.unserved
				})
				served := event.Kinds
				if tt.coverage == "yes" {
					served = []event.Kind{event.Channel}
					checkNotServed(t, src, newTopics(cluster, kept, event.Stream, event.Key)...)
				}
				followTopics(t, src, newTopics(cluster, kept, served...)...).publish(t, src, served...)
				checkNotServed(t, src, newTopics(cluster, lost, event.Kinds...)...)
				before.publish(t, src, served...)
			}

			found()
			becomesReady(t, src)
			before.publish(t, src, event.Kinds...)
			for i, w := range before.sinks {
				if gaps := gapsIn(w.all()); len(gaps) > 0 {
					t.Errorf("%s: got gaps %v", before.topics[i], gaps)
				}
			}
			beforeLost.publish(t, src, event.Kinds...)
			if warnings := log.with("does not say who owns which slots"); len(warnings) > 0 {
				t.Errorf("got warnings %q", warnings)
			}
		})
	}
}

// checkNotServed checks that a source rejects topics, to follow and to publish.
func checkNotServed(t *testing.T, src source.Source, topics ...event.Topic) {
	t.Helper()
	for _, topic := range topics {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		f := src.Follow(topic, newRecordingSink(t))
		// A master that does not answer could still do so until the client times out.
		if err := f.Live(ctx); !errors.Is(err, source.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: Live: got error %v", topic, err)
		}
		if _, err := src.Publish(ctx, topic, text("x")); !errors.Is(err, source.ErrUnavailable) {
			t.Errorf("%s: Publish: got error %v", topic, err)
		}
		cancel()
		f.Close()
	}
}

// followedTopics are the followed topics of one master, and their sinks.
type followedTopics struct {
	topics []event.Topic
	sinks  []*recordingSink
}

// newTopics returns a new topic of each kind whose slot belongs to a master.
func newTopics(cluster *redistest.Cluster, master *redistest.Server, kinds ...event.Kind) []event.Topic {
	tag := "{" + uniquePrefix() + "}"
	for cluster.Owner(tag) != master {
		tag = "{" + uniquePrefix() + "}"
	}
	var topics []event.Topic
	for _, kind := range kinds {
		topics = append(topics, event.Literal(kind, tag+kind.String()))
	}
	return topics
}

func followTopics(t *testing.T, src source.Source, topics ...event.Topic) followedTopics {
	t.Helper()
	f := followedTopics{topics: topics}
	for _, topic := range topics {
		w := newRecordingSink(t)
		following := src.Follow(topic, w)
		// The client may try the lost node first, so one read can time out.
		eventually(t, topic.String()+" is live", func() bool {
			err := following.Live(t.Context())
			if err != nil && !errors.Is(err, source.ErrUnavailable) {
				t.Fatalf("%s: Live: got error %v", topic, err)
			}
			return err == nil
		})
		f.sinks = append(f.sinks, w)
	}
	return f
}

// publish publishes to the topics of some kinds and waits until the events arrive.
func (f followedTopics) publish(t *testing.T, src source.Source, kinds ...event.Kind) {
	t.Helper()
	for i, topic := range f.topics {
		if slices.Contains(kinds, topic.Kind) {
			value := uniquePrefix()
			writeText(t, src, topic, value)
			f.sinks[i].last(t, value)
		}
	}
}
