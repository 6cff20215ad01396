package tracing_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/internal/tracing"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// open opens tracing with these environment variables, as name=value.
func open(t *testing.T, settings ...string) (*tracing.Tracing, error) {
	t.Helper()
	return openWithLog(t, slog.DiscardHandler, settings...)
}

func openWithLog(t *testing.T, log slog.Handler, settings ...string) (*tracing.Tracing, error) {
	t.Helper()
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		t.Setenv(name, value)
	}
	tr, err := tracing.Open(t.Context(), "v", "n", slog.New(log))
	if err == nil {
		t.Cleanup(func() {
			if err := tr.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	return tr, err
}

func TestOpen_RequiresEndpoint(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"
	for name, test := range map[string]struct {
		settings []string
		on       bool
	}{
		"nothing set":            {nil, false},
		"an endpoint":            {[]string{endpoint}, true},
		"an endpoint for traces": {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://example.com/v1/traces"}, true},
		"and the protocol":       {[]string{endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, true},
		"and headers":            {[]string{endpoint, "OTEL_EXPORTER_OTLP_HEADERS= Authorization=Basic%20x==, api-key = y,"}, true},
		"the SDK is disabled":    {[]string{endpoint, "OTEL_SDK_DISABLED=true"}, false},
		"no trace exporter":      {[]string{endpoint, "OTEL_TRACES_EXPORTER=none"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tr, err := open(t, test.settings...)
			if err != nil {
				t.Fatal(err)
			}
			if on := tr.Tracer != nil; on != test.on {
				t.Errorf("got a tracer: %v", on)
			}
		})
	}
}

func TestOpen_ErrorsNameSetting(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://localhost:4318"
	for name, test := range map[string]struct {
		settings []string
		want     string
	}{
		"not HTTP, for all":     {[]string{endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT=grpc://u:secret@localhost"}, "OTEL_EXPORTER_OTLP_ENDPOINT is"},
		"header without a name": {[]string{endpoint, "OTEL_EXPORTER_OTLP_HEADERS=secret"}, "OTEL_EXPORTER_OTLP_HEADERS is"},
		"header with a colon":   {[]string{endpoint, "OTEL_EXPORTER_OTLP_TRACES_HEADERS=Authorization: Basic secret="}, "OTEL_EXPORTER_OTLP_TRACES_HEADERS is"},
		"header with a bare %":  {[]string{endpoint, "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Basic secret%"}, "OTEL_EXPORTER_OTLP_HEADERS is"},
		"no scheme":             {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4318"}, "such as http://localhost:4318"},
		"not HTTP":              {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=grpc://localhost:4317"}, "such as http://localhost:4318"},
		"gRPC":                  {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, "only http/protobuf"},
		"bad resource":          {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318", "OTEL_RESOURCE_ATTRIBUTES=a"}, "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := open(t, test.settings...); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q", err, test.want)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error contains a secret: %v", err)
			}
		})
	}
}

func TestClose_DoesNotWaitForEndpoint(t *testing.T) {
	tr, err := open(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	_, span := tr.Tracer.Start(t.Context(), "lost")
	span.End()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_ = tr.Close(ctx)
	}()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatal("Close waits for the endpoint")
	}
}

func TestLog_HidesEndpointPassword(t *testing.T) {
	var log bytes.Buffer
	tr, err := openWithLog(t, slog.NewTextHandler(&log, nil), "OTEL_EXPORTER_OTLP_ENDPOINT=http://user:secret@127.0.0.1:1/path")
	if err != nil {
		t.Fatal(err)
	}
	_, span := tr.Tracer.Start(t.Context(), "lost")
	span.End()
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "127.0.0.1:1/path") || strings.Contains(text, "secret") {
		t.Errorf("got log %s", text)
	}
}
