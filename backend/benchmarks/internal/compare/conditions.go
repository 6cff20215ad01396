package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sluice/benchmarks/internal/rig"
)

// conditions are the flags that comparisons have in common.
type conditions struct {
	RedisURL string        `placeholder:"URL" help:"Redis to publish to; without it, one is started."`
	Size     int           `default:"200" help:"Bytes of a message, at least."`
	Rounds   int           `default:"3" help:"How many times everything is measured; the medians count."`
	Time     time.Duration `default:"3s" help:"How long each load lasts."`
	Settle   time.Duration `default:"2s" help:"How long a server is left alone after its start, and after its subscribers have come."`
	Pin      bool          `default:"true" negatable:"" help:"Keep the servers on one processor, and the load and Redis on another one."`
}

func (c *conditions) validate() error {
	if c.Rounds < 1 || c.Size < 1 || c.Time <= 0 || c.Settle < 0 {
		return errors.New("--rounds, --size and --time must be more than 0, and --settle at least 0")
	}
	return nil
}

// prepare puts servers and load on processors of their own if they are to be pinned, and
// starts a Redis if none is given. What it returns ends that.
func (c *conditions) prepare(ctx context.Context, progress io.Writer) (done func(), err error) {
	if c.Pin {
		separate, err := rig.Separate(ctx)
		if err != nil {
			return nil, err
		}
		if !separate {
			fmt.Fprintln(progress, "There is only one processor or no taskset: the servers and the load take each other's time.")
		}
	}
	if c.RedisURL != "" {
		return func() {}, nil
	}
	redis, url, err := rig.StartRedis(ctx)
	if err != nil {
		return nil, err
	}
	c.RedisURL = url
	return redis.Stop, nil
}
