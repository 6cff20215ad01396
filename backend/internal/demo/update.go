package demo

import (
	"context"
	"math/rand/v2"
	"time"
)

// millis is RFC 3339 with milliseconds.
const millis = "2006-01-02T15:04:05.000Z07:00"

// update makes the tutorial's message.
func update(_ context.Context, now time.Time) (any, error) {
	return struct {
		Time  string `json:"time"`
		Value int    `json:"value"`
	}{now.UTC().Format(millis), rand.IntN(1000)}, nil
}
