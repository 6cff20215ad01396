package event

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
)

// A frame is one block of an event stream, up to and including its empty line (HTML standard,
// section "Server-sent events"). It has two parts: the id line and the body. Frames that differ
// only in their ids can share one body.

// AppendID appends the id line, the first line of a frame. The id is the [Qualifier] of a topic, or
// the empty string, followed by a cursor. Both must be printable ASCII.
func AppendID(dst []byte, qualifier string, cursor []byte) []byte {
	dst = append(dst, "id: "...)
	dst = append(dst, qualifier...)
	dst = append(dst, cursor...)
	return append(dst, '\n')
}

// AppendRetry appends the line that sets a client's reconnection time.
func AppendRetry(dst []byte, retry time.Duration) []byte {
	dst = append(dst, "retry: "...)
	dst = strconv.AppendInt(dst, retry.Milliseconds(), 10)
	return append(dst, '\n')
}

// AppendBody appends the rest of a frame after the id line. The event type may be empty. CR, LF
// and CRLF each end a line, and clients receive LF, because the format cannot represent the
// difference. Invalid UTF-8 becomes U+FFFD as the Encoding standard specifies.
func AppendBody(dst []byte, eventType string, data []byte) []byte {
	if !utf8.Valid(data) {
		// This decoder replaces invalid bytes and never fails.
		data, _ = unicode.UTF8.NewDecoder().Bytes(data)
	}
	if eventType != "" {
		dst = append(dst, "event: "...)
		dst = append(dst, eventType...)
		dst = append(dst, '\n')
	}
	if bytes.IndexByte(data, '\r') >= 0 {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	for more := true; more; {
		var line []byte
		line, data, more = bytes.Cut(data, []byte("\n"))
		dst = append(dst, "data: "...)
		dst = append(dst, line...)
		dst = append(dst, '\n')
	}
	return append(dst, '\n')
}

// AppendOpenBody appends the body of stream.open. All topics are live after it. Missing topics are
// streams that do not exist.
func AppendOpenBody(dst []byte, topics, missing []Topic, resumed bool, node string) []byte {
	return appendControl(dst, "stream.open", struct {
		Topics  []string `json:"topics"`
		Resumed bool     `json:"resumed"`
		Node    string   `json:"node"`
		Missing []string `json:"missing,omitempty"`
	}{topicNames(topics), resumed, node, topicNames(missing)})
}

func topicNames(topics []Topic) []string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.String()
	}
	return names
}

// AppendGapBody appends the body of stream.gap.
func AppendGapBody(dst []byte, g Gap) []byte {
	var lost *int64
	if g.Lost != LostUnknown {
		lost = &g.Lost
	}
	return appendControl(dst, "stream.gap", struct {
		Topic  string    `json:"topic"`
		Reason GapReason `json:"reason"`
		Lost   *int64    `json:"lost"`
	}{g.Topic.String(), g.Reason, lost})
}

// AppendPing appends a stream.ping. It is a complete frame, because it has no id.
func AppendPing(dst []byte, now time.Time) []byte {
	return appendControl(dst, "stream.ping", struct {
		Time string `json:"time"`
	}{now.UTC().Format(time.RFC3339Nano)})
}

// AppendClose appends a stream.close, with the time after which the client should reconnect. It is
// a complete frame, because it has no id.
func AppendClose(dst []byte, reason CloseReason, retry time.Duration) []byte {
	return appendControl(AppendRetry(dst, retry), "stream.close", struct {
		Reason CloseReason `json:"reason"`
	}{reason})
}

func appendControl(dst []byte, eventType string, data any) []byte {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // keep &, < and > in topics readable
	if err := enc.Encode(data); err != nil {
		panic(err) // structs of strings and numbers always encode
	}
	return AppendBody(dst, eventType, bytes.TrimSuffix(text.Bytes(), []byte("\n")))
}
