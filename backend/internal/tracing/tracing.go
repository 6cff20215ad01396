// Package tracing exports OpenTelemetry traces if the environment names an endpoint. It does not
// know what is traced.
package tracing

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/net/http/httpguts"
)

// scope is the instrumentation scope of the spans, and the default name of the service.
const scope = "sluice"

// Tracing exports spans in the background.
type Tracing struct {
	// Tracer creates spans; nil if tracing is off.
	Tracer trace.Tracer
	// Close exports the remaining spans. It returns an error if the context ends before that.
	Close func(context.Context) error
}

// Open starts the export of spans of this process: a version of the service, and the id of a node
// within it. The OTEL_ variables of the OpenTelemetry specification set the endpoint, its headers
// and certificates, and the sampler, and take precedence. Open does not wait for the endpoint.
// Without an endpoint, tracing is off and costs nothing. The caller must call Close.
func Open(ctx context.Context, version, node string, log *slog.Logger) (*Tracing, error) {
	on, err := enabled()
	if err != nil || !on {
		return &Tracing{Close: func(context.Context) error { return nil }}, err
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", scope),
			attribute.String("service.version", version),
			attribute.String("service.instance.id", node),
		),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("traces were not sent", "error", err)
	}))
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return &Tracing{provider.Tracer(scope), provider.Shutdown}, nil
}

// Endpoints and headers may hold passwords. They are validated before the exporter reads them, because
// it writes a value that it cannot parse to standard error.
var (
	endpoints = [2]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
	headers   = [2]string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"}
	protocols = [2]string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"}
)

// enabled reports whether the environment enables traces. It returns an error if a variable is not
// valid.
func enabled() (bool, error) {
	if firstSet(endpoints) == "" || os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false, nil
	}
	for _, name := range endpoints {
		if !isEndpoint(os.Getenv(name)) {
			return false, fmt.Errorf("%s is not an address such as http://localhost:4318", name)
		}
	}
	for _, name := range headers {
		if !areHeaders(os.Getenv(name)) {
			return false, fmt.Errorf("%s is not a list such as name=value,name=value", name)
		}
	}
	if protocol := firstSet(protocols); protocol != "" && protocol != "http/protobuf" {
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; only http/protobuf is supported, usually on port 4318", protocol)
	}
	return true, nil
}

// isEndpoint reports whether a text is the URL of an endpoint, or empty.
func isEndpoint(text string) bool {
	u, err := url.Parse(text)
	return text == "" || err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// areHeaders reports whether a text is a list of headers in the format of the specification of the
// exporter: name=value, separated by commas, with URL-encoded values.
func areHeaders(text string) bool {
	for header := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(header) == "" {
			continue
		}
		name, value, found := strings.Cut(header, "=")
		if _, err := url.PathUnescape(value); err != nil || !found || !httpguts.ValidHeaderFieldName(strings.TrimSpace(name)) {
			return false
		}
	}
	return true
}

// firstSet returns the value of the first of two variables that is not empty, or "".
func firstSet(names [2]string) string {
	return cmp.Or(os.Getenv(names[0]), os.Getenv(names[1]))
}
