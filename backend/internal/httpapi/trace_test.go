package httpapi

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"sluice/internal/delivery"
)

func TestTraced_PanicEndsSpanWithStatus(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	a := &api{Options: Options{ // no authority, so the handler panics
		CORSOrigins: []string{"*"},
		Delivery:    new(delivery.Server),
		Tracer:      sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)).Tracer("test"),
		Log:         slog.New(slog.DiscardHandler),
	}}
	routes, err := a.routes()
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	routes.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events?channel=c", nil))
	if answer.Code != http.StatusInternalServerError {
		t.Fatalf("got status %d", answer.Code)
	}
	if len(spans.Ended()) != 1 {
		t.Fatalf("got %d ended spans", len(spans.Ended()))
	}
	span := spans.Ended()[0]
	attributes := attribute.NewSet(span.Attributes()...)
	status, _ := attributes.Value("http.response.status_code")
	if status.AsInt64() != http.StatusInternalServerError || span.Status().Code != codes.Error {
		t.Errorf("got span status %d, %s", status.AsInt64(), span.Status().Code)
	}
}
