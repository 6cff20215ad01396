package redis

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// reads are the commands that change nothing, and the frame of a transaction.
var reads = []string{
	"ping", "type", "memory", "get", "hgetall", "lrange", "smembers", "zrange", "json.get", "scan",
	"xrange", "xrevrange", "xinfo", "eval_ro", "cluster", "multi", "exec",
}

// retryReads repeats reads once if their connection broke, on another connection. It is a
// hook of go-redis, whose own retries would repeat writes as well.
type retryReads struct{}

func (retryReads) DialHook(next redis.DialHook) redis.DialHook { return next }

func (retryReads) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if isBroken(err) && areReads(cmd) && ctx.Err() == nil {
			err = next(ctx, cmd)
		}
		return err
	}
}

func (retryReads) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if isBroken(err) && areReads(cmds...) && ctx.Err() == nil {
			for _, cmd := range cmds {
				cmd.SetErr(nil) // go-redis sets it for some commands of a transaction only if they fail
			}
			err = next(ctx, cmds)
		}
		return err
	}
}

func areReads(cmds ...redis.Cmder) bool {
	return !slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool {
		return !slices.Contains(reads, strings.ToLower(cmd.Name()))
	})
}

// isBroken reports whether an error says that the connection was lost, rather than slow.
func isBroken(err error) bool {
	lost := []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ETIMEDOUT}
	return slices.ContainsFunc(lost, func(target error) bool { return errors.Is(err, target) })
}

// retryOnce calls a function that is safe to repeat, and again if the connection was lost or
// did not answer in half of the time that the context allows.
func retryOnce(ctx context.Context, do func(context.Context) error) error {
	first, cancel := ctx, func() {}
	if deadline, ok := ctx.Deadline(); ok {
		first, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
	}
	err := do(first)
	cancel()
	timeout, isNetError := errors.AsType[net.Error](err)
	if ctx.Err() == nil && (isBroken(err) || isNetError && timeout.Timeout()) {
		err = do(ctx)
	}
	return err
}
