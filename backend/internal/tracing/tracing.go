// Package tracing sends OpenTelemetry traces where the environment names an endpoint for
// them. It does not know what is traced.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
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

// wanted reports whether the environment asks for traces.
func wanted() (bool, error) {
	endpoint := firstSet("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if endpoint == "" || os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false, nil
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT is not an address such as http://localhost:4318")
	}
	switch protocol := firstSet("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol {
	case "", "http/protobuf":
		return true, nil
	default:
		return false, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q; only http/protobuf is sent, mostly to port 4318", protocol)
	}
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
