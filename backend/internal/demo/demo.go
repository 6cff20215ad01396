// Package demo generates the demo feeds. The server publishes them with --demo, and the
// publisher sends them to Redis.
package demo

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

// Publish publishes a message to a literal topic, as [source.Source] does.
type Publish func(ctx context.Context, topic event.Topic, m source.Message) (event.StreamID, error)

// feed generates the events of one demo topic, or of a glob of topics.
type feed struct {
	topic    event.Topic
	interval time.Duration
	past     time.Duration // simulated time before the start, so a chart is full at once
	next     func(ctx context.Context, now time.Time) (message, error)
}

// message is the next event of a feed.
type message struct {
	name  string // name of the key or channel, if the topic of the feed is a glob
	value any    // encoded as JSON
}

func feeds() []feed {
	return []feed{
		{event.Topic{Kind: event.Channel, Pattern: "updates"}, 3 * time.Second, 0, update},
		{event.Topic{Kind: event.Channel, Pattern: "metrics"}, time.Second, 0, new(machine).sample},
		{event.Topic{Kind: event.Channel, Pattern: "analytics"}, time.Second, 5 * time.Minute, (&site{usualUsers}).count},
		{event.Topic{Kind: event.Stream, Pattern: "logs"}, 700 * time.Millisecond, 0, (&services{request: rand.IntN(1 << 20)}).log},
		{event.Topic{Kind: event.Stream, Pattern: "notifications"}, 15 * time.Second, 0, notify},
		{event.Topic{Kind: event.Key, Pattern: "price:*"}, 250 * time.Millisecond, 0, newMarket().tick},
	}
}

// Topics returns the topics of all feeds.
func Topics() []event.Topic {
	var topics []event.Topic
	for _, f := range feeds() {
		topics = append(topics, f.topic)
	}
	return append(topics, event.Topic{Kind: event.Stream, Pattern: runPrefix + "*"}, latestRun)
}

// Followed returns the topics of all feeds that can be followed: all but the glob of streams.
func Followed() []event.Topic {
	return slices.DeleteFunc(Topics(), func(t event.Topic) bool { return t.Kind == event.Stream && t.IsGlob() })
}

// Run publishes all feeds until the context ends. With withPast, it first publishes simulated events
// from before the start. Use that with an empty broker only: a second Run would repeat these times.
// Run skips events that cannot be published, and logs only the first of several failures in a row.
func Run(ctx context.Context, publish Publish, withPast bool, log *slog.Logger) {
	var running sync.WaitGroup
	for _, f := range feeds() {
		if !withPast {
			f.past = 0
		}
		running.Go(func() { f.run(ctx, publish, log.With("topic", f.topic.String())) })
	}
	running.Go(func() { publishRuns(ctx, publish, log.With("topic", "stream:"+runPrefix+"*")) })
	running.Wait()
}

func (f feed) run(ctx context.Context, publish Publish, log *slog.Logger) {
	tick := time.NewTicker(f.interval)
	defer tick.Stop()
	failures := failureLog{log: log}
	start := time.Now()
	for now := start.Add(-f.past); ; {
		failures.record(ctx, f.publish(ctx, now, publish))
		if now.Before(start) {
			now = now.Add(f.interval)
			continue
		}
		select {
		case now = <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// failureLog logs the first of several failures in a row, and the end of them.
type failureLog struct {
	log     *slog.Logger
	failing bool
}

// record records the result of a publish. It ignores results after the end of the context.
func (f *failureLog) record(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !f.failing:
		f.log.Warn("demo feed not published, retrying", "error", err)
	case err == nil && f.failing:
		f.log.Info("demo feed published again")
	}
	f.failing = err != nil
}

func (f feed) publish(ctx context.Context, now time.Time, publish Publish) error {
	m, err := f.next(ctx, now)
	if err != nil {
		return err
	}
	data, err := json.Marshal(m.value)
	if err != nil {
		return err
	}
	topic := f.topic
	if m.name != "" {
		topic = event.Literal(topic.Kind, m.name)
	}
	_, err = publish(ctx, topic, source.Message{Data: data, MaxLen: source.DefaultMaxLen})
	return err
}
