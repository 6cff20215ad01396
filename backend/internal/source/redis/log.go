package redis

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// SetLog makes go-redis write its messages to log, at debug level: errors are also
// returned to their callers. go-redis has one logger for the whole process, so a program
// calls SetLog once, before it opens a client.
func SetLog(log *slog.Logger) {
	redis.SetLogger(goRedisLog{log})
}

type goRedisLog struct{ log *slog.Logger }

// Printf implements the logger of go-redis.
func (l goRedisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "go-redis", "message", fmt.Sprintf(format, args...))
}
