// Package tracing exports OpenTelemetry traces if the environment names an endpoint. It does not
// know what is traced.
package tracing

import (
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

// Service describes this process in traces. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take
// precedence.
type Service struct {
	Version string
	Node    string // id of this process within the service
}

// Tracing exports spans in the background.
type Tracing struct {
	provider *sdk.TracerProvider // nil if tracing is off
}

// Open starts the export of spans. The OTEL_ variables of the OpenTelemetry specification set the
// endpoint, its headers and certificates, and the sampler. Open does not wait for the endpoint.
// Without an endpoint, tracing is off and costs nothing. The caller must call Close.
func Open(ctx context.Context, service Service, log *slog.Logger) (*Tracing, error) {
	on, err := enabled()
	if err != nil || !on {
		return new(Tracing), err
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", scope),
			attribute.String("service.version", service.Version),
			attribute.String("service.instance.id", service.Node),
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
	return &Tracing{sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))}, nil
}

// These variables may hold passwords. They are validated before the exporter reads them, because
// it writes a value that it cannot parse to standard error.
var (
	endpoints = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
	headers   = []string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"}
)

// enabled reports whether the environment enables traces. It returns an error if a variable is not
// valid.
func enabled() (bool, error) {
	if firstSet(endpoints...) == "" || os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
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
	switch protocol := firstSet("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol {
	case "", "http/protobuf":
		return true, nil
	default:
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; only http/protobuf is supported, usually on port 4318", protocol)
	}
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

// firstSet returns the value of the first variable that is not empty, or "".
func firstSet(names ...string) string {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}

// Tracer returns the tracer that creates spans, or nil if tracing is off.
func (t *Tracing) Tracer() trace.Tracer {
	if t.provider == nil {
		return nil
	}
	return t.provider.Tracer(scope)
}

// Close exports the remaining spans. It returns an error if the context ends before that.
func (t *Tracing) Close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}
