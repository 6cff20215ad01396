package redis

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis/pubsub"
)

// Publisher writes to Redis, and follows nothing.
type Publisher struct {
	client redis.UniversalClient
}

// OpenPublisher returns a publisher to the Redis that options describe. It connects when
// there is something to publish.
func OpenPublisher(options *Options) *Publisher {
	return &Publisher{options.open(0)}
}

// Close closes the connections.
func (p *Publisher) Close() error {
	return p.client.Close()
}

// Publish implements [source.Source].
func (p *Publisher) Publish(ctx context.Context, topic event.Topic, m source.Message) (id event.StreamID, err error) {
	cmd := command(ctx, topic, m)
	switch {
	case topic.Kind == event.Channel:
		// In a cluster, the master on which all gateways follow the channel, so all receive the
		// messages in the same order.
		var owner redis.UniversalClient
		if owner, err = p.serverOf(ctx, topic.Name()); err == nil {
			err = owner.Process(ctx, cmd)
		}
	case topic.Kind == event.Stream && needsScript(m):
		id, err = p.runAddScript(ctx, topic.Name(), []source.Message{m})
	default:
		err = p.client.Process(ctx, once{cmd})
		if err == nil && topic.Kind == event.Stream {
			id, err = parseAddedID(cmd.Val())
		}
	}
	return id, p.wrapError(ctx, topic, err)
}

// PublishAll implements [source.Source].
func (p *Publisher) PublishAll(ctx context.Context, topic event.Topic, messages []source.Message) error {
	var err error
	if topic.Kind == event.Stream && needsScript(messages[0]) {
		_, err = p.runAddScript(ctx, topic.Name(), messages)
	} else {
		err = p.transact(ctx, topic, messages)
	}
	return p.wrapError(ctx, topic, err)
}

// transact writes messages in one transaction.
func (p *Publisher) transact(ctx context.Context, topic event.Topic, messages []source.Message) error {
	server, err := p.serverOf(ctx, topic.Name())
	if err != nil {
		return err
	}
	tx := server.TxPipeline()
	for _, m := range messages {
		_ = tx.Process(ctx, command(ctx, topic, m))
	}
	cmds, err := tx.Exec(ctx)
	// The error of a transaction that Redis discarded does not say why. That of one command does.
	for _, cmd := range cmds {
		if reply, ok := errors.AsType[redis.Error](cmd.Err()); ok && !strings.HasPrefix(reply.Error(), "EXECABORT") {
			return cmd.Err()
		}
	}
	return err
}

// command returns the command that writes a message.
func command(ctx context.Context, topic event.Topic, m source.Message) *redis.Cmd {
	name := topic.Name()
	switch topic.Kind {
	case event.Channel:
		return redis.NewCmd(ctx, "publish", name, m.Data)
	case event.Key:
		args := []any{"set", name, m.Data}
		if m.TTL > 0 {
			args = append(args, "px", m.TTL.Milliseconds())
		}
		return redis.NewCmd(ctx, args...)
	default:
		args := []any{"xadd", name}
		if m.MaxLen > 0 {
			args = append(args, "maxlen", "~", m.MaxLen)
		}
		return redis.NewCmd(ctx, append(append(args, "*"), entryFields(m)...)...)
	}
}

// wrapError returns the error of a publish as callers need it.
func (p *Publisher) wrapError(ctx context.Context, topic event.Topic, err error) error {
	switch {
	case err == nil, errors.Is(err, source.ErrKeyReused):
		return err
	case isWrongType(err):
		return fmt.Errorf("%w: %s is not a stream", source.ErrWrongType, topic)
	case isForbidden(err):
		return fmt.Errorf("%w: publishing to %s: %w", source.ErrForbidden, topic, err)
	}
	if cluster, ok := p.client.(*redis.ClusterClient); ok && ctx.Err() == nil {
		cluster.ReloadState(ctx) // otherwise only after a server reports that a slot has moved
	}
	return fmt.Errorf("%w: publishing to %s: %w", source.ErrUnavailable, topic, err)
}

// once is a command that the client of a cluster must not repeat after an error, since Redis may
// have executed it.
type once struct{ redis.Cmder }

// NoRetry overrides that of [redis.Cmder].
func (once) NoRetry() bool { return true }

// serverOf returns the server that owns the slot of a name.
func (p *Publisher) serverOf(ctx context.Context, name string) (redis.UniversalClient, error) {
	if cluster, ok := p.client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, name)
	}
	return p.client, nil
}

// needsScript reports whether an entry needs more than XADD. A transaction does not do: if XADD
// fails in it, as for a key of another type, Redis still executes the commands that follow.
func needsScript(m source.Message) bool {
	return m.IdempotencyKey != "" || m.TTL > 0
}

// runAddScript adds entries by addScript. It returns the id of the newest one; with an idempotency
// key the same each time.
func (p *Publisher) runAddScript(ctx context.Context, name string, messages []source.Message) (event.StreamID, error) {
	first := messages[0]
	keys := []string{name}
	if first.IdempotencyKey != "" {
		// A key on the server of the stream. Its length and characters do not depend on the client's key.
		sum := source.IdempotencySum(name, first.IdempotencyKey)
		keys = append(keys, source.InternalPrefix+"idempotency:"+pubsub.InSlotOf(name)+hex.EncodeToString(sum[:]))
	}
	// Entries with and without a type have different numbers of fields, so all messages have a type, or none has.
	args := []any{source.IdempotencyTime.Milliseconds(), first.MaxLen, first.Fingerprint, first.TTL.Milliseconds(), len(entryFields(first))}
	for _, m := range messages {
		args = append(args, entryFields(m)...)
	}
	var answer string
	run := func(ctx context.Context) error {
		server, err := p.serverOf(ctx, name)
		if err == nil {
			answer, err = addScript.Run(ctx, server, keys, args...).Text()
		}
		return err
	}
	var err error
	if first.IdempotencyKey != "" {
		err = retryOnce(ctx, run)
	} else {
		err = run(ctx)
	}
	if err != nil {
		return event.StreamID{}, err
	}
	id, fingerprint, _ := strings.Cut(answer, " ")
	if fingerprint != first.Fingerprint {
		return event.StreamID{}, source.ErrKeyReused
	}
	return parseAddedID(id)
}

func parseAddedID(reply any) (event.StreamID, error) {
	text, _ := reply.(string)
	id, ok := event.ParseStreamID(text)
	if !ok {
		return event.StreamID{}, errors.New("redis answered XADD with something else than an id")
	}
	return id, nil
}

func entryFields(m source.Message) []any {
	fields := []any{dataField, m.Data}
	if m.Type != "" {
		fields = append(fields, typeField, m.Type)
	}
	return fields
}

// addScript adds entries, and sets the expiry of the stream, unless the second key remembers an
// answer. Redis runs a script as a whole, so this holds on all nodes and for concurrent
// requests; the first command that fails ends it. It returns the answer: the id of the newest
// entry, a space, and the fingerprint.
//
// KEYS: the stream, the key that remembers the answer if there is one. ARGV: how long to remember it in
// milliseconds, the length to trim to or 0, the fingerprint, the expiry in milliseconds or 0, the
// number of arguments of an entry, and those of each entry.
var addScript = redis.NewScript(`
local answer = KEYS[2] and redis.call('GET', KEYS[2])
if not answer then
  if ARGV[4] ~= '0' then
    -- Changes nothing. It fails before an entry is added if PEXPIRE is forbidden.
    redis.call('PEXPIRE', KEYS[1], '4000000000000000', 'XX', 'LT')
  end
  local id
  local size = tonumber(ARGV[5])
  for first = 6, #ARGV, size do
    if ARGV[2] == '0' then
      id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, first, first + size - 1))
    else
      id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', unpack(ARGV, first, first + size - 1))
    end
  end
  if ARGV[4] ~= '0' then
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
  end
  answer = id .. ' ' .. ARGV[3]
  if KEYS[2] then
    redis.call('SET', KEYS[2], answer, 'PX', ARGV[1])
  end
end
return answer
`)
