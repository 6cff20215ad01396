package httpapi

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"sluice/internal/event"
)

// traced makes a span of a request, as a part of the trace that its traceparent header
// names (W3C Trace Context). The span says nothing that may be secret: not the query and
// its tokens, not the names of topics, nothing of the payload or the client.
func (a *api) traced(name string) gin.HandlerFunc {
	if a.Tracer == nil {
		return func(*gin.Context) {}
	}
	return func(c *gin.Context) {
		ctx := propagation.TraceContext{}.Extract(c.Request.Context(), propagation.HeaderCarrier(c.Request.Header))
		ctx, _ = a.Tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("http.request.method", c.Request.Method),
			attribute.String("http.route", c.FullPath()),
		))
		c.Request = c.Request.WithContext(ctx)
		defer endSpan(c)
		a.recover(c) // inside, so the span has the status of a panic
	}
}

// traceTopics notes what kinds of topics a request is about, and how many.
func traceTopics(c *gin.Context, topics ...event.Topic) {
	span := trace.SpanFromContext(c.Request.Context())
	if !span.IsRecording() {
		return
	}
	var kinds []string
	for _, t := range topics {
		if kind := t.Kind.String(); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	span.SetAttributes(attribute.StringSlice("sluice.topic.kinds", kinds), attribute.Int("sluice.topics", len(topics)))
}

// traceRejected adds the reason for a rejection to the span of the request.
func traceRejected(c *gin.Context, reason event.CloseReason) {
	trace.SpanFromContext(c.Request.Context()).SetStatus(codes.Error, string(reason))
}

// endSpan ends the span of a request, if it has one that has not ended yet.
func endSpan(c *gin.Context) {
	span := trace.SpanFromContext(c.Request.Context())
	if !span.IsRecording() {
		return
	}
	status := c.Writer.Status()
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
