package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"sluice/internal/event"
)

// FuzzQuery_ValidRequestOrClearError parses a query as both routes do.
func FuzzQuery_ValidRequestOrClearError(f *testing.F) {
	for _, query := range []string{
		"", "channel=updates", "channel=prices.*&stream=orders&key=stock:%3F", "channel=a&last=5&every=500ms&lastEventId=1-0",
		"stream=orders&event=order.created&maxlen=100", "channel=%zz", "channel=a;b", "key=%00", "every=1e9h", "last=-0", "channel=__sluice__:marks",
		"channel=%5C*&channel=%5B", "access_token=x", "maxlen=99999999999999999999", "&&==&", "channel=" + url.QueryEscape("a\u2028b"),
	} {
		f.Add(query, "1-0")
	}
	a := &api{Options: Options{DefaultTopics: []event.Topic{event.Literal(event.Channel, "updates")}}}
	f.Fuzz(func(t *testing.T, raw, lastID string) {
		r := &http.Request{URL: &url.URL{RawQuery: raw}, Header: http.Header{"Last-Event-Id": {lastID}}}
		query, err := parseQuery(r)
		checkClear(t, err)
		if err != nil {
			return
		}
		req, err := a.parseSubscription(r, query)
		checkClear(t, err)
		if err == nil {
			checkSubscription(t, req.Topics, req.Last)
			if req.Every != 0 && (req.Every < minEvery || req.Every > maxEvery) {
				t.Errorf("got interval %s", req.Every)
			}
			if lastID != "" && !slices.Equal(req.IDs, []string{lastID}) {
				t.Errorf("got ids %q, want the one of the header", req.IDs)
			}
		}
		topic, err := parseLiteralTopic(query)
		checkClear(t, err)
		if err != nil {
			return
		}
		if topic.IsGlob() || !slices.Contains(event.Kinds, topic.Kind) {
			t.Errorf("got topic %s for a publish", topic)
		}
		m, err := parseMessage(query, topic)
		checkClear(t, err)
		if err == nil && (event.CheckType(m.Type) != nil || m.MaxLen < 0 || query.Has("maxlen") != (m.MaxLen > 0)) {
			t.Errorf("got message %+v", m)
		}
	})
}

// checkClear checks that an error describes the request.
func checkClear(t *testing.T, err error) {
	t.Helper()
	var bad statusError
	if err != nil && !errors.As(err, &bad) && !errors.Is(err, event.ErrBadTopic) {
		t.Errorf("the error is not about the request: %v", err)
	}
}

func checkSubscription(t *testing.T, topics []event.Topic, last int) {
	t.Helper()
	if len(topics) == 0 || len(topics) > MaxTopics {
		t.Errorf("got %d topics", len(topics))
	}
	for i, topic := range topics {
		if topic.Kind == event.Stream && topic.IsGlob() {
			t.Errorf("got a glob of streams: %s", topic)
		}
		if slices.Contains(topics[:i], topic) {
			t.Errorf("got %s twice", topic)
		}
	}
	if last < 0 || last > maxLast {
		t.Errorf("got last %d", last)
	}
}
