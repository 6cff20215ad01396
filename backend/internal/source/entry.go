package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
)

// The fields of an entry that make up an event.
const (
	dataField = "data"
	typeField = "event"
)

// entryOf reads an entry as an event: its field data, with the field event as its type,
// or a JSON object of all fields where there is no field data.
func entryOf(m redis.XMessage) Entry {
	id, _ := event.ParseStreamID(m.ID) // Redis gives no others
	data, ok := m.Values[dataField].(string)
	if !ok {
		return Entry{ID: id, Data: marshal(m.Values)}
	}
	e := Entry{ID: id, Data: []byte(data)}
	if t, ok := m.Values[typeField].(string); ok && event.CheckType(t) == nil {
		e.Type = t
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

func stateOf(info *redis.XInfoStream) StreamState {
	s := StreamState{Exists: true, Length: uint64(info.Length), Added: uint64(info.EntriesAdded)}
	s.Last, _ = event.ParseStreamID(info.LastGeneratedID)
	s.Deleted, _ = event.ParseStreamID(info.MaxDeletedEntryID)
	if info.Length > 0 {
		s.First, _ = event.ParseStreamID(info.FirstEntry.ID)
	}
	return s
}

func isNoSuchKey(err error) bool {
	return err != nil && strings.Contains(err.Error(), "no such key")
}

func isWrongType(err error) bool {
	return errors.Is(err, ErrWrongType) || err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE")
}
