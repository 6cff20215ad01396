package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// services generates the log of a few services that handle requests.
type services struct{ request int }

// logTemplate is a kind of log line. Its weight is its relative frequency.
type logTemplate struct {
	weight                  int
	level, service, message string
}

var logTemplates = []logTemplate{
	{30, "info", "gateway", "GET /api/products answered 200 in %d ms"},
	{20, "info", "gateway", "POST /api/cart answered 201 in %d ms"},
	{14, "debug", "catalog", "cache hit, %d items"},
	{10, "info", "checkout", "order placed, %d items"},
	{8, "debug", "auth", "token refreshed, valid for %d s"},
	{6, "warn", "catalog", "slow query took %d ms"},
	{4, "warn", "gateway", "client closed the connection after %d ms"},
	{3, "error", "checkout", "payment provider timed out after %d ms"},
	{1, "error", "auth", "database connection lost, retry in %d ms"},
}

func (s *services) log(_ context.Context, now time.Time) (message, error) {
	s.request++
	t := pick(logTemplates, func(t logTemplate) int { return t.weight })
	return message{value: struct {
		Time      string `json:"time"`
		Level     string `json:"level"`
		Service   string `json:"service"`
		Message   string `json:"message"`
		RequestID string `json:"request_id"`
	}{timestamp(now), t.level, t.service, fmt.Sprintf(t.message, 1+rand.IntN(900)), fmt.Sprintf("req-%06x", s.request)}}, nil
}

// pick returns a random item, with a probability proportional to its weight.
func pick[T any](items []T, weight func(T) int) T {
	total := 0
	for _, item := range items {
		total += weight(item)
	}
	n := rand.IntN(total)
	for _, item := range items {
		if n -= weight(item); n < 0 {
			return item
		}
	}
	panic("unreachable: the weights add up to total")
}
