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

func TestCluster_MasterWithoutReplicaIsLost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		coverage string // cluster-require-full-coverage
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
			cluster := redistest.StartCluster(t, 3, 0, time.Second)
			for _, master := range cluster.Masters {
				master.Do("CONFIG", "SET", "cluster-require-full-coverage", tt.coverage)
			}
			lost, kept := cluster.Masters[2], cluster.Masters[0]
			log := new(lines)
			src := connect(t, cluster, newLog(log))
			becomesReady(t, src)
			before := takeUpAll(t, src, topicsOf(cluster, kept, event.Kinds...)...)
			beforeLost := takeUpAll(t, src, topicsOf(cluster, lost, event.Kinds...)...)
			before.publish(t, src, event.Kinds...)

			tt.lose(lost)
			found := sync.OnceFunc(func() { tt.find(lost) })
			defer found()
			soon(t, "the cluster knows", func() bool {
				return strings.Contains(fmt.Sprint(kept.Do("CLUSTER", "NODES")), "fail ")
			})
			for name, src := range map[string]source.Source{"a gateway": src, "a new gateway": connect(t, cluster, newLog(log))} {
				soon(t, name+" is ready for the rest", func() bool {
					unserved, err := src.Ready(t.Context())
					return err == nil && unserved == tt.unserved
				})
				served := event.Kinds
				if tt.coverage == "yes" {
					served = []event.Kind{event.Channel}
					notServed(t, src, topicsOf(cluster, kept, event.Stream, event.Key)...)
				}
				takeUpAll(t, src, topicsOf(cluster, kept, served...)...).publish(t, src, served...)
				notServed(t, src, topicsOf(cluster, lost, event.Kinds...)...)
				before.publish(t, src, served...)
			}

			found()
			becomesReady(t, src)
			before.publish(t, src, event.Kinds...)
			for i, w := range before.witnesses {
				if gaps := gapsOf(w.all()); len(gaps) > 0 {
					t.Errorf("%s has gaps: %v", before.topics[i], gaps)
				}
			}
			beforeLost.publish(t, src, event.Kinds...)
			if warnings := log.with("does not say who owns which slots"); len(warnings) > 0 {
				t.Errorf("the log warns: %q", warnings)
			}
		})
	}
}

// notServed checks that topics can neither be followed nor published to.
func notServed(t *testing.T, src source.Source, topics ...event.Topic) {
	t.Helper()
	for _, topic := range topics {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		f := src.Follow(topic, newRecordingSink(t))
		// A master that is silent may yet answer, until the client has waited long enough.
		if err := f.Live(ctx); !errors.Is(err, source.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: Live: %v", topic, err)
		}
		if _, err := src.Publish(ctx, topic, text("x")); !errors.Is(err, source.ErrUnavailable) {
			t.Errorf("%s: Publish: %v", topic, err)
		}
		cancel()
		f.Close()
	}
}

// followed is topics of one master, and their witnesses.
type followed struct {
	topics    []event.Topic
	witnesses []*recordingSink
}

// topicsOf returns a new topic of each kind whose slot is a master's.
func topicsOf(cluster *redistest.Cluster, master *redistest.Server, kinds ...event.Kind) []event.Topic {
	tag := "{" + ownNames() + "}"
	for cluster.Owner(tag) != master {
		tag = "{" + ownNames() + "}"
	}
	var topics []event.Topic
	for _, kind := range kinds {
		topics = append(topics, event.Literal(kind, tag+kind.String()))
	}
	return topics
}

func takeUpAll(t *testing.T, src source.Source, topics ...event.Topic) followed {
	t.Helper()
	f := followed{topics: topics}
	for _, topic := range topics {
		w := newRecordingSink(t)
		following := src.Follow(topic, w)
		// The client may try the lost node first, so a read may time out once.
		soon(t, topic.String()+" is live", func() bool {
			err := following.Live(t.Context())
			if err != nil && !errors.Is(err, source.ErrUnavailable) {
				t.Fatalf("%s: Live returns %v", topic, err)
			}
			return err == nil
		})
		f.witnesses = append(f.witnesses, w)
	}
	return f
}

// publish publishes to the topics of some kinds, and waits for it.
func (f followed) publish(t *testing.T, src source.Source, kinds ...event.Kind) {
	t.Helper()
	for i, topic := range f.topics {
		if slices.Contains(kinds, topic.Kind) {
			value := ownNames()
			writeText(t, src, topic, value)
			f.witnesses[i].last(t, value)
		}
	}
}
