package redis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis/pubsub"
	"sluice/internal/source/redis/tracking"
)

// The fields of an entry that make up an event.
const (
	dataField = "data"
	typeField = "event"
)

// parseEntries converts the reply to XRANGE.
func parseEntries(reply []any) ([]source.Entry, error) {
	entries := make([]source.Entry, len(reply))
	for i, r := range reply {
		pair, _ := r.([]any)
		if len(pair) != 2 {
			return nil, fmt.Errorf("redis gave an entry of %d parts", len(pair))
		}
		fields, _ := pair[1].([]any)
		entries[i] = parseEntry(fields)
		entries[i].ID = parseID(pair[0])
	}
	return entries, nil
}

func parseID(reply any) event.StreamID {
	text, _ := reply.(string)
	id, _ := event.ParseStreamID(text) // Redis gives no others
	return id
}

// parseMap converts a reply of names and values, which is a map in RESP3 and a list in RESP2. It
// returns nil for other replies.
func parseMap(reply any) map[any]any {
	switch reply := reply.(type) {
	case map[any]any:
		return reply
	case []any:
		m := make(map[any]any, len(reply)/2)
		for i := 0; i+1 < len(reply); i += 2 {
			name, _ := reply[i].(string)
			m[name] = reply[i+1]
		}
		return m
	}
	return nil
}

// parseEntry converts the fields of an entry to an event. If its only fields are data, or data and
// event, each once, they are the event's data and type. Any other entry becomes a JSON object of
// all its fields.
func parseEntry(fields []any) (e source.Entry) {
	values := make(map[string]any, len(fields)/2)
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		switch before := values[name].(type) {
		case nil:
			values[name] = fields[i+1]
		case []any:
			values[name] = append(before, fields[i+1])
		default:
			values[name] = []any{before, fields[i+1]}
		}
	}
	data, hasData := values[dataField].(string)
	eventType, hasType := values[typeField].(string)
	if !hasData || len(values) > 2 || len(values) == 2 && !hasType {
		e.Data = marshal(values)
		return e
	}
	e.Data = []byte(data)
	if event.CheckType(eventType) == nil || eventType == event.StreamEnd {
		e.Type = eventType
	}
	return e
}

// marshal returns v as JSON, the text in it as it is.
func marshal(v any) []byte {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // strings, and lists and maps of them, always encode
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

func isNoSuchKey(err error) bool {
	return err != nil && strings.Contains(err.Error(), "no such key")
}

func isWrongType(err error) bool {
	return errors.Is(err, source.ErrWrongType) || err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE")
}

// isForbidden reports whether an error says that the ACL forbids a command, also one of a script.
func isForbidden(err error) bool {
	return err != nil && (strings.HasPrefix(err.Error(), "NOPERM") || strings.Contains(err.Error(), "user executing the script can't"))
}

// refusal returns an error of Redis, wrapped in [source.ErrWrongType] or [source.ErrForbidden] if it is
// one of these.
func refusal(err error) error {
	switch {
	case isRefusal(err):
		return err
	case isWrongType(err):
		return fmt.Errorf("%w: %w", source.ErrWrongType, err)
	case isForbidden(err):
		return fmt.Errorf("%w: %w", source.ErrForbidden, err)
	}
	return err
}

// sourceError wraps an error of the packages pubsub and tracking in the one of package source.
func sourceError(err error) error {
	switch {
	case errors.Is(err, pubsub.ErrUnavailable), errors.Is(err, tracking.ErrUnavailable):
		return fmt.Errorf("%w: %w", source.ErrUnavailable, err)
	case errors.Is(err, pubsub.ErrForbidden), errors.Is(err, tracking.ErrForbidden):
		return fmt.Errorf("%w: %w", source.ErrForbidden, err)
	case errors.Is(err, tracking.ErrUnsupported):
		return fmt.Errorf("%w: key topics need CLIENT TRACKING with REDIRECT, which this server or proxy refuses: %w", source.ErrUnsupported, err)
	}
	return err
}
