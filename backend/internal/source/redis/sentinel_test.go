package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/test/redistest"
)

// A replica delivers messages of its master, but does not report when it has lost the master.
func TestSentinel_RejectsReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	_, port, _ := strings.Cut(master.Addr(), ":")
	replica := redistest.Start(t, "--replicaof", "127.0.0.1", port)
	src := openRedis(t, redistest.SentinelURL(redistest.StartSentinel(t, replica)))
	f := src.Follow(channelNamed("a"), newRecordingSink(t))
	for what, err := range map[string]error{"Live": f.Live(t.Context()), "Ready": readiness(t.Context(), src)} {
		if !errors.Is(err, source.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "not a master") {
			t.Errorf("%s: %v", what, err)
		}
	}
	replica.Do("REPLICAOF", "NO", "ONE")
	becomesReady(t, src)
}

func TestSentinel_AllKinds(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, redistest.Start(t))
	src := openRedis(t, redistest.SentinelURL(sentinel))
	becomesReady(t, src)
	checkAllKinds(t, src)
}

func TestSentinel_ErrorNamesUnknownMaster(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, redistest.Start(t))
	src := openRedis(t, "redis-sentinel://"+sentinel.Addr()+"?master_name=other")
	err := readiness(t.Context(), src)
	if !errors.Is(err, source.ErrUnavailable) || !strings.Contains(err.Error(), `sentinel does not know the master "other"`) {
		t.Errorf("Ready: %v", err)
	}
}

// go-redis returns an error that wraps redis.Nil, which is also the reply for a missing value.
func TestSentinel_RemovedMasterIsUnavailable(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	sentinel := redistest.StartSentinel(t, master)
	log := new(logLines)
	src := connect(t, serverURL(redistest.SentinelURL(sentinel)), newLog(log))
	topics := []event.Topic{channelNamed("c"), streamNamed("s"), keyNamed("k"), parseTopic(t, "key:k*")}
	for _, topic := range topics[1:3] {
		writeText(t, src, topic, "before")
	}
	sinks := make(map[event.Topic]*recordingSink)
	for _, topic := range topics {
		sinks[topic], _ = follow(t, src, topic)
	}
	sentinel.Do("SENTINEL", "REMOVE", "main")
	master.Kill()
	for _, topic := range topics {
		f := src.Follow(event.Topic{Kind: topic.Kind, Pattern: "other" + topic.Pattern}, newRecordingSink(t))
		eventually(t, "a new "+topic.Kind.String()+" is unavailable", func() bool {
			return errors.Is(f.Live(t.Context()), source.ErrUnavailable)
		})
		f.Close()
	}
	for _, topic := range topics[:3] {
		_, err := src.Publish(t.Context(), topic, text("x"))
		if !errors.Is(err, source.ErrUnavailable) || !strings.Contains(err.Error(), `sentinel does not know the master "main"`) {
			t.Errorf("Publish to %s: %v", topic, err)
		}
	}
	master.Restart()
	_, port, _ := strings.Cut(master.Addr(), ":")
	sentinel.Do("SENTINEL", "MONITOR", "main", "127.0.0.1", port, "1")
	becomesReady(t, src)
	for _, topic := range topics[:3] {
		eventually(t, topic.String()+" is published to", func() bool {
			_, err := src.Publish(t.Context(), topic, text("after"))
			return err == nil
		})
		sinks[topic].last(t, "after")
	}
	for _, topic := range topics[2:] {
		for _, n := range sinks[topic].all() {
			if n.eventType == event.KeyUnsupported {
				t.Errorf("%s: %v", topic, n)
			}
		}
	}
	if strange := log.with("redis: nil"); len(strange) > 0 {
		t.Errorf("got log %q", strange)
	}
}

// serverURL is the URL of a server.
type serverURL string

func (u serverURL) URL() string { return string(u) }
