package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"sluice/internal/event"
	"sluice/internal/hub"
	"sluice/internal/source"
)

// options are the parameters that a query may have once. Topics and ids may be repeated.
var options = []string{"last", "from", "every", "event", "maxlen", "ttl", "access_token"}

func parseQuery(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequestf("the query cannot be read: %v; percent-encode names", err)
	}
	for _, name := range options {
		if n := len(query[name]); n > 1 {
			return nil, badRequestf("%s= is there %d times; leave out all but one", name, n)
		}
	}
	return query, nil
}

// MaxTopics bounds the topics of one subscription.
const MaxTopics = 64

const (
	maxLast  = 1000
	minEvery = 10 * time.Millisecond
	maxEvery = time.Minute
	minTTL   = time.Second
	maxTTL   = 87600 * time.Hour
)

// parseTopics returns the topics of a query, each once: by kind, and in the order of the query.
func parseTopics(query url.Values) ([]event.Topic, error) {
	var topics []event.Topic
	for _, kind := range event.Kinds {
		for _, pattern := range query[kind.String()] {
			t, err := event.NewTopic(kind, pattern)
			if err != nil {
				return nil, err
			}
			if slices.Contains(topics, t) {
				continue
			}
			if len(topics) == MaxTopics {
				return nil, badRequestf("more than %d topics in one subscription; open another one, or use a glob", MaxTopics)
			}
			topics = append(topics, t)
		}
	}
	return topics, nil
}

// parseSubscription parses the query and the header of GET /events.
func (a *api) parseSubscription(r *http.Request, query url.Values) (hub.Request, error) {
	topics, err := parseTopics(query)
	if err != nil {
		return hub.Request{}, err
	}
	if i := slices.IndexFunc(topics, source.IsInternal); i >= 0 {
		return hub.Request{}, badRequestf("%q is a name that only the gateways use; choose another one", topics[i].Pattern)
	}
	if len(topics) == 0 {
		topics = a.DefaultTopics
	}
	req := hub.Request{Topics: topics, IDs: lastEventIDs(r, query)}
	if query.Has("last") {
		req.Last, err = strconv.Atoi(query.Get("last"))
		if err != nil || req.Last < 0 || req.Last > maxLast {
			return hub.Request{}, badRequestf("last=%s is not a number from 0 to %d", query.Get("last"), maxLast)
		}
	}
	if query.Has("from") {
		if err := checkFrom(query, topics); err != nil {
			return hub.Request{}, err
		}
		req.Start = true
	}
	if query.Has("every") {
		req.Every, err = time.ParseDuration(query.Get("every"))
		if err != nil || req.Every < minEvery || req.Every > maxEvery {
			return hub.Request{}, badRequestf("every=%s is not a duration from 10ms to 60s, such as 500ms", query.Get("every"))
		}
	}
	return req, nil
}

// checkFrom returns an error if from= cannot be used in a request for these topics.
func checkFrom(query url.Values, topics []event.Topic) error {
	switch {
	case query.Get("from") != "start":
		return badRequestf("from=%s is not known; write from=start, or leave it out", query.Get("from"))
	case query.Has("last"):
		return badRequestf("from=start and last= exclude each other; leave out one of them")
	case !slices.ContainsFunc(topics, func(t event.Topic) bool { return t.Kind == event.Stream }):
		return badRequestf("from=start is for streams; name one, as in ?stream=run:42&from=start")
	}
	return nil
}

// lastEventIDs returns the last ids that the client received. The header wins: a browser that
// reconnects sends its newest id there, while the query still has the old ones.
func lastEventIDs(r *http.Request, query url.Values) []string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return []string{id}
	}
	return query["lastEventId"]
}

// parseLiteralTopic returns the literal topic of a publish.
func parseLiteralTopic(query url.Values) (event.Topic, error) {
	topics, err := parseTopics(query)
	switch {
	case err != nil:
		return event.Topic{}, err
	case len(topics) != 1:
		return event.Topic{}, badRequestf("a publish names exactly one topic, as in ?channel=updates; this one names %d", len(topics))
	case topics[0].IsGlob():
		return event.Topic{}, badRequestf("a publish names a literal topic, and %q is a glob; write \\*, \\? or \\[ for the character itself", topics[0].Pattern)
	}
	return topics[0], nil
}

// parseMessage returns the message of POST /events without its data.
func parseMessage(query url.Values, topic event.Topic) (m source.Message, err error) {
	m.Type = query.Get("event")
	if query.Has("ttl") {
		if topic.Kind == event.Channel {
			return m, badRequestf("ttl= is for streams and keys only; Redis keeps nothing of a channel")
		}
		m.TTL, err = time.ParseDuration(query.Get("ttl"))
		if err != nil || m.TTL < minTTL || m.TTL > maxTTL {
			return m, badRequestf("ttl=%s is not a duration from 1s to 87600h, such as 30m", query.Get("ttl"))
		}
	}
	if topic.Kind != event.Stream {
		for _, name := range []string{"event", "maxlen"} {
			if query.Has(name) {
				return m, badRequestf("%s= is for streams only; a %s has no place for it", name, topic.Kind)
			}
		}
	}
	if err := event.CheckType(m.Type); err != nil && !(topic.Kind == event.Stream && m.Type == event.StreamEnd) {
		return m, badRequestf("%v", err)
	}
	if query.Has("maxlen") {
		m.MaxLen, err = strconv.ParseInt(query.Get("maxlen"), 10, 64)
		if err != nil || m.MaxLen < 1 {
			return m, badRequestf("maxlen=%s is not a number of entries of at least 1", query.Get("maxlen"))
		}
	}
	return m, nil
}

// parseIdempotencyKey returns the header Idempotency-Key of a publish, or an empty text.
func parseIdempotencyKey(r *http.Request, topic event.Topic) (string, error) {
	keys := r.Header.Values("Idempotency-Key")
	switch {
	case len(keys) == 0:
		return "", nil
	case topic.Kind != event.Stream:
		return "", badRequestf("Idempotency-Key is for streams only; leave it out for a %s", topic.Kind)
	case len(keys) > 1:
		return "", badRequestf("Idempotency-Key is there %d times; leave out all but one", len(keys))
	case keys[0] == "":
		return "", badRequestf("Idempotency-Key is empty; send a value of your own for each publish, or leave it out")
	}
	return keys[0], nil
}
