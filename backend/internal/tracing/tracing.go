// Package tracing sends OpenTelemetry traces where the environment names an endpoint for
// them. It does not know what is traced.
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

// scope names who makes the spans.
const scope = "sluice"

// Service is what traces say of this process. OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES come before it.
type Service struct {
	Version string
	Node    string // this process, among all of the service
}

// Tracing sends spans in the background.
type Tracing struct {
	provider *sdk.TracerProvider // nil if it is off
}

// Open begins to send spans as the OTEL_ variables of the OpenTelemetry specification
// say: the endpoint, its headers and certificates, and the sampler. It does not wait for
// the endpoint. Without one, tracing is off and costs nothing.
func Open(ctx context.Context, service Service, log *slog.Logger) (*Tracing, error) {
	on, err := wanted()
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

// What may hold a password is read here first, in all variables that are set: of what it
// cannot read, the exporter writes the whole text to standard error.
var (
	endpoints = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
	headers   = []string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"}
)

// wanted reports whether the environment asks for traces.
func wanted() (bool, error) {
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
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; only http/protobuf is sent, mostly to port 4318", protocol)
	}
}

// isEndpoint reports whether a text is the address of an endpoint, or empty.
func isEndpoint(text string) bool {
	u, err := url.Parse(text)
	return text == "" || err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// areHeaders reports whether a text is a list of headers as the specification of the
// exporter has it: name=value, separated by commas, the values as in a URL.
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

// firstSet returns the value of the first variable that has one.
func firstSet(names ...string) string {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}

// Tracer returns what makes spans, nil if tracing is off.
func (t *Tracing) Tracer() trace.Tracer {
	if t.provider == nil {
		return nil
	}
	return t.provider.Tracer(scope)
}

// Close sends the spans that are left, until the context ends.
func (t *Tracing) Close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}
