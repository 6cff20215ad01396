package redis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sluice/internal/event"
	"sluice/internal/source"
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
		id, _ := pair[0].(string)
		fields, _ := pair[1].([]any)
		entries[i] = parseEntry(id, fields)
	}
	return entries, nil
}

// parseEntry converts an entry to an event. If its only fields are data, or data and event,
// each once, they are the event's data and type. Any other entry becomes a JSON object of
// all its fields.
func parseEntry(id string, fields []any) source.Entry {
	var e source.Entry
	e.ID, _ = event.ParseStreamID(id) // Redis gives no others
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
