package redistest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// lingering are functions of go-redis goroutines that outlive their client: Close does not stop
// them, and they exit after a sleep.
// them, and they sleep before they find out.
var lingering = []goleak.Option{
	// Sleeps 0.2 s after it has requested the nodes of a cluster.
	goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9.(*clusterStateHolder).LazyReload.func1"),
	// Tries once per second to reach a server that is down.
	goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"),
}

// lingerTime is the time for them to exit, on a busy machine.
const lingerTime = 20 * time.Second

// Run runs the tests of a package with Redis clients, and fails if goroutines remain. It returns
// the exit status.
func Run(m *testing.M) int {
	if code := m.Run(); code != 0 {
		return code
	}
	if err := findLeaks(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// findLeaks returns an error that describes goroutines that do not exit. Those of go-redis have
// more time.
func findLeaks() error {
	if err := goleak.Find(lingering...); err != nil {
		return err
	}
	for deadline := time.Now().Add(lingerTime); ; {
		if err := goleak.Find(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
