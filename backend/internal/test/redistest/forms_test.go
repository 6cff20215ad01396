package redistest_test

import (
	"testing"
	"time"

	"sluice/internal/test/redistest"
)

func TestCluster_StartsAndMovesSlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, 1, time.Minute)
	from := c.Owner("a")
	to := c.Masters[0]
	if to == from {
		to = c.Masters[1]
	}
	from.Do("SET", "a", "1")
	c.MoveSlot(c.Slot("a"), from, to)
	if got := to.Do("GET", "a"); got != "1" {
		t.Errorf("%v", got)
	}
}

func TestWatched_Starts(t *testing.T) {
	t.Parallel()
	redistest.StartWatched(t)
}
