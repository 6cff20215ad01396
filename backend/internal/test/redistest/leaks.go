package redistest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// lingering are the goroutines of go-redis that outlive their client: Close does not tell
// them, and they sleep before they find out.
var lingering = []goleak.Option{
	// It looks 0.2 s after it has asked for a cluster's nodes whether to ask again.
	goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9.(*clusterStateHolder).LazyReload.func1"),
	// It tries once a second to reach a server that nobody could connect to.
	goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"),
}

// lingerTime is how long they may take to end, on a machine that does much else.
const lingerTime = 20 * time.Second

// Run runs the tests of a package with clients of Redis, and fails also if a goroutine is
// left after them. It returns the status to exit with.
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

// findLeaks returns an error that tells of goroutines which do not end. Those of go-redis
// have more time for it than ours, and have to use it.
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
