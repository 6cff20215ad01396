package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLog(discard)
	os.Exit(redistest.Run(m))
}

const patience = 30 * time.Second

var discard = slog.New(slog.DiscardHandler)

func newPublisher(t *testing.T, server *redistest.Server) *redis.Publisher {
	t.Helper()
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	p := redis.OpenPublisher(options)
	t.Cleanup(func() { p.Close() })
	return p
}

func TestStdin_PublishesEachLineInOrder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	sub := client.Subscribe(t.Context(), "logs")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	const input = "first\nsecond with spaces \n\nüñí 🚀\nCR at the end\r\n{\"json\":true}\nno line break at the end"
	if err := publishLines(t.Context(), strings.NewReader(input), event.Literal(event.Channel, "logs"), newPublisher(t, server).Publish, discard); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, want := range []string{"first", "second with spaces ", "", "üñí 🚀", "CR at the end", `{"json":true}`, "no line break at the end"} {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m.Payload != want {
			t.Errorf("Redis gets %q, want %q", m.Payload, want)
		}
	}
}

func TestStdin_AddsEntryForEachLine(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if err := publishLines(t.Context(), strings.NewReader("a\nb\n"), event.Literal(event.Stream, "logs"), newPublisher(t, server).Publish, discard); err != nil {
		t.Fatal(err)
	}
	entries, err := server.Client().XRange(t.Context(), "logs", "-", "+").Result()
	if err != nil || len(entries) != 2 || entries[0].Values["data"] != "a" || entries[1].Values["data"] != "b" || len(entries[0].Values) != 1 {
		t.Errorf("the stream has %v, %v", entries, err)
	}
}

func TestStdin_KeepsPositionWhileRedisRestarts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := newPublisher(t, server)
	in, lines := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- publishLines(context.Background(), in, event.Literal(event.Channel, "logs"), p.Publish, discard)
	}()
	write := func(text string) {
		t.Helper()
		if _, err := io.WriteString(lines, text); err != nil {
			t.Fatal(err)
		}
	}
	sub := server.Client().Subscribe(t.Context(), "logs")
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	next := func() string {
		t.Helper()
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return m.Payload
	}
	write("1\n2\n")
	if got := []string{next(), next()}; got[0] != "1" || got[1] != "2" {
		t.Fatalf("Redis gets %q", got)
	}
	sub.Close()
	server.Kill()
	write("3\n4\n5\n") // accepted while Redis is unavailable

	server.Restart()
	// Line 3 may be published before the test subscribes. All lines after the first one must arrive
	// in order.
	sub = server.Client().Subscribe(t.Context(), "logs")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(lines, "6\n7\n8\n") }() // blocks until the lines are read
	var last int
	if _, err := fmt.Sscan(next(), &last); err != nil || last < 3 {
		t.Fatalf("got first line %d, error %v", last, err)
	}
	for last < 8 {
		if got, want := next(), fmt.Sprint(last+1); got != want {
			t.Fatalf("after line %d: got %q", last, got)
		}
		last++
	}
	lines.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// flaky fails a fixed number of times before each success.
type flaky struct {
	failures int
	left     int
	got      []string
}

func (f *flaky) publish(_ context.Context, _ event.Topic, m source.Message) (event.StreamID, error) {
	if f.left > 0 {
		f.left--
		return event.StreamID{}, errors.New("away")
	}
	f.left = f.failures
	f.got = append(f.got, string(m.Data))
	return event.StreamID{}, nil
}

func TestStdin_RetriesFailedLine(t *testing.T) {
	t.Parallel()
	f := &flaky{failures: 2, left: 2}
	var log bytes.Buffer
	if err := publishLines(t.Context(), strings.NewReader("a\nb\nc\n"), event.Literal(event.Channel, "x"), f.publish, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.got, ""); got != "abc" {
		t.Errorf("got published lines %q", f.got)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 3 {
		t.Errorf("got %d warnings, want one for each line: %s", n, log.String())
	}
}

func TestStdin_LongLineIsError(t *testing.T) {
	t.Parallel()
	for _, length := range []int{maxLine + 1, maxLine + 2, 2 * maxLine} {
		f := new(flaky)
		input := "short\n" + strings.Repeat("x", length) + "\nnever"
		err := publishLines(t.Context(), strings.NewReader(input), event.Literal(event.Channel, "x"), f.publish, discard)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("line of %d bytes: got error %v", length, err)
		}
		if len(f.got) != 1 || f.got[0] != "short" {
			t.Errorf("got published lines %.50q", f.got)
		}
	}
}

func TestStdin_LineOfMaximumLength(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"", "\n", "\r\n"} {
		f := new(flaky)
		line := strings.Repeat("x", maxLine)
		if err := publishLines(t.Context(), strings.NewReader(line+end), event.Literal(event.Channel, "x"), f.publish, discard); err != nil {
			t.Errorf("end %q: got error %v", end, err)
		}
		if len(f.got) != 1 || f.got[0] != line {
			t.Errorf("end %q: got %d published lines", end, len(f.got))
		}
	}
}

func TestStdin_KeyOfOtherTypeIsError(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if err := server.Client().Set(t.Context(), "logs", "text", 0).Err(); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), flags{RedisURL: server.URL(), Stdin: new("stream:logs")}, strings.NewReader("a\nb\n"), discard)
	if !errors.Is(err, source.ErrWrongType) || !strings.Contains(err.Error(), "stream:logs") {
		t.Errorf("got error %v", err)
	}
}

func TestStdin_EndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := &flaky{failures: 1 << 30, left: 1 << 30}
	if err := publishLines(ctx, strings.NewReader("a\n"), event.Literal(event.Channel, "x"), f.publish, discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
}

func TestRun_EndsWithContextWhileIdle(t *testing.T) {
	t.Parallel()
	in, lines := io.Pipe()
	defer lines.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, flags{RedisURL: "redis://127.0.0.1:1", Stdin: new("channel:logs")}, in, discard)
	}()
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v", err)
		}
	case <-time.After(patience):
		t.Error("the publisher does not end: it waits for a line")
	}
}

func TestRun_RejectsInvalidTargets(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]flags{
		"no topic":    {RedisURL: "redis://127.0.0.1:1", Stdin: new("logs")},
		"no name":     {RedisURL: "redis://127.0.0.1:1", Stdin: new("")},
		"glob":        {RedisURL: "redis://127.0.0.1:1", Stdin: new("channel:logs*")},
		"no address":  {RedisURL: "logs", Stdin: new("channel:logs")},
		"no such URL": {RedisURL: "http://:hunter2@127.0.0.1", Stdin: new("channel:logs")},
	} {
		err := run(t.Context(), f, strings.NewReader(""), discard)
		if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}
