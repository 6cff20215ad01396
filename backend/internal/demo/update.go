package demo

import (
	"context"
	"math/rand/v2"
	"time"
)

// timestamp returns a time in RFC 3339 with milliseconds.
func timestamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// update returns the message of the tutorial.
func update(_ context.Context, now time.Time) (message, error) {
	return message{value: struct {
		Time  string `json:"time"`
		Value int    `json:"value"`
	}{timestamp(now), rand.IntN(1000)}}, nil
}
