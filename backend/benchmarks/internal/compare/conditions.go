package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sluice/benchmarks/internal/rig"
)

// conditions holds the flags that all comparisons have.
type conditions struct {
	RedisURL string        `placeholder:"URL" help:"Redis to publish to. Without it, a Redis is started."`
	Size     int           `default:"200" help:"Minimum size of a message in bytes."`
	Rounds   int           `default:"3" help:"Number of measurements of each load; the result is the median."`
	Time     time.Duration `default:"3s" help:"Duration of each load."`
	Settle   time.Duration `default:"2s" help:"Pause after the start of a server, and after the connections are open."`
	Pin      bool          `default:"true" negatable:"" help:"Run the servers on one processor, and the load and Redis on another one."`
}

func (c *conditions) validate() error {
	if c.Rounds < 1 || c.Size < 1 || c.Time <= 0 || c.Settle < 0 {
		return errors.New("--rounds, --size and --time must be more than 0, and --settle at least 0")
	}
	return nil
}

// prepare assigns separate processors to the servers and the load if --pin is set, and starts a Redis
// if --redis-url is not set. done stops the Redis.
func (c *conditions) prepare(ctx context.Context, progress io.Writer) (done func(), err error) {
	if c.Pin {
		separate, err := rig.Separate(ctx)
		if err != nil {
			return nil, err
		}
		if !separate {
			fmt.Fprintln(progress, "Warning: this machine has only one processor or no taskset, so the servers and the load share processors.")
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
