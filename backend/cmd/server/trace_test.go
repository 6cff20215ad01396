package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	v1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// traceCollector receives spans over HTTP as an OpenTelemetry collector does.
type traceCollector struct {
	t *testing.T

	mu    sync.Mutex
	raw   []byte // all request bodies
	spans []*v1.Span
	about string // attributes of the resource
}

// collectTraces starts a collector and configures this process to export spans to it.
func collectTraces(t *testing.T) *traceCollector {
	t.Helper()
	c := &traceCollector{t: t}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10") // milliseconds
	return c
}

func (c *traceCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		c.t.Errorf("%s is not an export of traces: %v", r.URL.Path, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, body...)
	for _, resource := range request.GetResourceSpans() {
		c.about = resource.GetResource().String()
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// span waits for a span and returns it with its attributes as strings.
func (c *traceCollector) span(name string) (span *v1.Span, attributes map[string]string) {
	c.t.Helper()
	eventually(c.t, "a span "+name, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range c.spans {
			if s.GetName() == name {
				span = s
			}
		}
		return span != nil
	})
	attributes = make(map[string]string)
	for _, a := range span.GetAttributes() {
		attributes[a.GetKey()] = a.GetValue().String()
	}
	return span, attributes
}

func checkAttribute(t *testing.T, attributes map[string]string, name, want string) {
	t.Helper()
	if got := attributes[name]; !strings.Contains(got, want) {
		t.Errorf("%s is %q, want %q", name, got, want)
	}
}

func TestTraces_PublishContinuesClientTrace(t *testing.T) {
	c := collectTraces(t)
	g := startWithTokens(t)
	secret := token(t, newClaims(time.Hour, "stream:secret*"))
	a := g.do(http.MethodPost, "/events?stream=secret-name&event=secret-type&access_token="+secret, strings.NewReader("secret payload"),
		"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Authorization", "Bearer "+secret)
	if a.status != http.StatusOK {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	span, attributes := c.span("publish")
	if !bytes.HasPrefix(span.GetTraceId(), []byte{0x0a, 0xf7, 0x65}) || !bytes.HasPrefix(span.GetParentSpanId(), []byte{0xb7, 0xad}) {
		t.Errorf("got trace %x, parent %x", span.GetTraceId(), span.GetParentSpanId())
	}
	if span.GetKind() != v1.Span_SPAN_KIND_SERVER {
		t.Errorf("the kind is %s", span.GetKind())
	}
	checkAttribute(t, attributes, "http.request.method", "POST")
	checkAttribute(t, attributes, "http.route", "/events")
	checkAttribute(t, attributes, "http.response.status_code", "200")
	checkAttribute(t, attributes, "sluice.topic.kinds", "stream")
	checkAttribute(t, attributes, "sluice.topics", "1")
	if !strings.Contains(c.about, "service.name") || !strings.Contains(c.about, "sluice") {
		t.Errorf("the resource is %s", c.about)
	}
	c.checkNoSecret(secret)
}

// checkNoSecret checks that no request contained a secret of the test or one of the tokens.
func (c *traceCollector) checkNoSecret(tokens ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, secret := range append(tokens, "secret") {
		if i := bytes.Index(c.raw, []byte(secret)); i >= 0 {
			c.t.Errorf("a trace contains a secret: %q", c.raw[max(i-40, 0):min(i+40, len(c.raw))])
		}
	}
}

func TestTraces_SubscriptionSpanEndsAtOpen(t *testing.T) {
	for name, newClient := range map[string]func(*testing.T) *http.Client{"HTTP/1.1": newSmallReader, "HTTP/2": newH2C} {
		t.Run(name, func(t *testing.T) {
			c := collectTraces(t)
			g := startWithTokens(t)
			secret := token(t, newClaims(time.Hour, "channel:secret*", "key:secret*"))
			s := g.open(newClient(t), "?channel=secret-name&key=secret-key&channel=secret2&access_token="+secret, "Last-Event-ID", "secret")
			s.readOpen()
			_, attributes := c.span("subscribe") // before the subscription ends
			checkAttribute(t, attributes, "http.response.status_code", "200")
			checkAttribute(t, attributes, "sluice.topic.kinds", "channel")
			checkAttribute(t, attributes, "sluice.topics", "3")
			s.disconnect()
			g.stop()
			c.checkNoSecret(secret)
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.spans) != 1 {
				t.Errorf("%d spans", len(c.spans))
			}
		})
	}
}

func TestTraces_ReportErrors(t *testing.T) {
	c := collectTraces(t)
	g := startOnRedis(t)
	eventually(t, "ready", func() bool { return g.get("/readyz").status == http.StatusOK })
	g.redis.Kill()
	if a := g.do(http.MethodPost, "/events?channel=secret", strings.NewReader("x")); a.status != http.StatusServiceUnavailable {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	span, attributes := c.span("publish")
	if span.GetStatus().GetCode() != v1.Status_STATUS_CODE_ERROR {
		t.Errorf("the status is %s", span.GetStatus())
	}
	checkAttribute(t, attributes, "http.response.status_code", "503")
	eventually(t, "a subscriber is rejected", func() bool {
		s := g.open(g.client, "", "Accept", "text/event-stream")
		return s.end()[0].name == "stream.close"
	})
	// The status is 200 because a browser reconnects only then.
	if span, _ := c.span("subscribe"); span.GetStatus().GetMessage() != "unavailable" {
		t.Errorf("the status is %s", span.GetStatus())
	}
	c.checkNoSecret()
}
