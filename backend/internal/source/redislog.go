package source

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// SetRedisLog makes go-redis write its messages to log, at debug level: errors are also
// returned to their callers. go-redis has one logger for the whole process, so a program
// calls SetRedisLog once, before it opens a client.
func SetRedisLog(log *slog.Logger) {
	redis.SetLogger(redisLog{log})
}

type redisLog struct{ log *slog.Logger }

// Printf implements the logger of go-redis.
func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "go-redis", "message", fmt.Sprintf(format, args...))
}
