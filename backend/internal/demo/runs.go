package demo

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
)

const (
	runPrefix    = "run:"
	runTTL       = 10 * time.Minute
	pauseOfRuns  = 8 * time.Second
	wordInterval = 120 * time.Millisecond
)

// latestRun is the key that holds the topic of the newest run.
var latestRun = event.Literal(event.Key, runPrefix+"latest")

// answers are the texts of the runs.
var answers = []string{
	"A run is a stream that ends. The program that writes it needs nothing but XADD, and every page that follows it shows each word as it is written. Reload this page: the text continues in the same place, because the words are entries of a Redis stream and your browser remembers the last one it received.",
	"Open this page in a second tab, or on your phone. Both show the same answer from its first word, because a viewer that joins late reads the stream from the start. The gateway reads each entry from Redis once, whatever the number of viewers.",
	"When an answer is complete, its last entry has the type stream.end. The gateway delivers it once and closes the connection. A page that asks again gets the status 204, which stops it. The stream expires ten minutes later.",
	"Switch the network off before the end and on again. The page reconnects, sends the id of the last word that it received, and gets the next one. If words were lost, the page would receive a gap and show it.",
}

// publishRuns publishes one run after the other until the context ends.
func publishRuns(ctx context.Context, publish Publish, log *slog.Logger) {
	failures := failureLog{log: log}
	for {
		failures.record(ctx, publishRun(ctx, publish, fmt.Sprint(runPrefix, time.Now().Unix()), answers[rand.IntN(len(answers))]))
		select {
		case <-time.After(pauseOfRuns):
		case <-ctx.Done():
			return
		}
	}
}

// publishRun publishes a text word by word, and the end. The key of the newest run names it from
// the first word on.
func publishRun(ctx context.Context, publish Publish, name, text string) error {
	topic := event.Literal(event.Stream, name)
	words := strings.SplitAfter(text, " ")
	for i, word := range words {
		if _, err := publish(ctx, topic, source.Message{Data: []byte(word), TTL: runTTL, MaxLen: source.DefaultMaxLen}); err != nil {
			return err
		}
		if i == 0 {
			if _, err := publish(ctx, latestRun, source.Message{Data: []byte(topic.String())}); err != nil {
				return err
			}
		}
		select {
		case <-time.After(wordInterval/2 + rand.N(wordInterval)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	end := fmt.Appendf(nil, `{"words":%d}`, len(words))
	_, err := publish(ctx, topic, source.Message{Type: event.StreamEnd, Data: end, TTL: runTTL, MaxLen: source.DefaultMaxLen})
	return err
}
