package source_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/internal/redistest"
	"sluice/internal/source"
)

// A replica brings what its master publishes, but does not tell when it has lost that.
func TestSentinel_ReplicaIsNotTakenForTheMaster(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	_, port, _ := strings.Cut(master.Addr(), ":")
	replica := redistest.Start(t, "--replicaof", "127.0.0.1", port)
	src := openRedis(t, redistest.SentinelURL(redistest.StartSentinel(t, replica)))
	f := src.Follow(channelNamed("a"), newRecorder())
	for what, err := range map[string]error{"Live": f.Live(t.Context()), "Ready": src.Ready(t.Context())} {
		if !errors.Is(err, source.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "no master") {
			t.Errorf("%s: %v", what, err)
		}
	}
	replica.Do("REPLICAOF", "NO", "ONE")
	becomesReady(t, src)
}

func TestSentinel_BringsTopicsOfAllKinds(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, redistest.Start(t))
	src := openRedis(t, redistest.SentinelURL(sentinel))
	becomesReady(t, src)
	checkAllKinds(t, src)
}

func TestSentinel_UnknownNameIsNamedAsTheReason(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, redistest.Start(t))
	src := openRedis(t, "redis-sentinel://"+sentinel.Addr()+"?master_name=other")
	err := src.Ready(t.Context())
	if !errors.Is(err, source.ErrUnavailable) || !strings.Contains(err.Error(), "sentinels") {
		t.Errorf("Ready: %v", err)
	}
}
