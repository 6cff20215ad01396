package event_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tmaxmax/go-sse"

	"sluice/internal/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

// mebibyte is the largest payload of a publish over HTTP.
const mebibyte = 1 << 20

// dataFrame returns the frame of a data event.
func dataFrame(eventType string, data []byte) []byte {
	return event.AppendBody(event.AppendID(nil, "", []byte("c-1")), eventType, data)
}

// parse reads frames with an independent parser.
func parse(t testing.TB, stream []byte) []sse.Event {
	t.Helper()
	var events []sse.Event
	for e, err := range sse.Read(bytes.NewReader(stream), &sse.ReadConfig{MaxEventSize: 64 * mebibyte}) {
		if err != nil {
			t.Fatalf("parsing %.200q: %v", stream, err)
		}
		events = append(events, e)
	}
	return events
}

// delivered returns a payload as a client receives it.
func delivered(data []byte) string {
	s := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
	if !utf8.ValidString(s) {
		panic("arriving needs valid UTF-8")
	}
	return s
}

func TestFrames_MatchGoldenFiles(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 13, 0, 0, 123_456_789, time.FixedZone("CET", 3600))
	updates := event.Topic{Kind: event.Channel, Pattern: "updates"}
	globs := event.Topic{Kind: event.Channel, Pattern: `pri\*ces.*`}
	for name, frame := range map[string][]byte{
		"data":                  dataFrame("", []byte(`{"value":42}`)),
		"data-typed":            dataFrame("order.created", []byte("9")),
		"data-empty":            dataFrame("", nil),
		"data-empty-typed":      dataFrame("tick", nil),
		"data-lines":            dataFrame("", []byte("one\ntwo\n\nfour")),
		"data-final-line-break": dataFrame("", []byte("one\n")),
		"data-line-breaks-only": dataFrame("", []byte("\n\n")),
		"data-cr":               dataFrame("", []byte("one\rtwo\r")),
		"data-crlf":             dataFrame("", []byte("one\r\ntwo\r\n")),
		"data-mixed-breaks":     dataFrame("", []byte("a\r\n\rb\n\r\nc\r\r\nd")),
		"data-leading-spaces":   dataFrame("", []byte(" one\n  two\n\tthree")),
		"data-lookalikes":       dataFrame("", []byte("id: 7\nevent: open\ndata: x\nretry: 1\n: comment\n\nid: 8")),
		"data-unicode":          dataFrame("", []byte("Grüße, 世界 🚀 \u2028\u2029\u0085 end")),
		"data-bom":              dataFrame("", []byte("\ufeffafter the mark")),
		"data-nul":              dataFrame("", []byte("a\x00b")),
		"data-invalid-utf8":     dataFrame("", []byte("a\xffb\xc3(\xe2\x82z")),
		"id-qualified":          event.AppendBody(event.AppendID(nil, event.Qualifier(globs), []byte("c-1")), "", []byte("x")),
		"retry-and-open":        event.AppendOpenBody(event.AppendID(event.AppendRetry(nil, 2345*time.Millisecond), "", []byte("c-1")), []event.Topic{updates}, nil, false, "n1"),
		"open-resumed":          event.AppendOpenBody(nil, []event.Topic{globs, {Kind: event.Stream, Pattern: "a&b<c>"}}, nil, true, "n1"),
		"gap-counted":           event.AppendGapBody(nil, event.Gap{Topic: updates, Reason: event.SlowConsumer, Lost: 12}),
		"gap-unknown":           event.AppendGapBody(nil, event.Gap{Topic: updates, Reason: event.SourceInterrupted, Lost: event.LostUnknown}),
		"gap-nothing-lost":      event.AppendGapBody(nil, event.Gap{Topic: updates, Reason: event.HistoryExpired, Lost: 0}),
		"gap-history":           event.AppendGapBody(nil, event.Gap{Topic: globs, Reason: event.HistoryExpired, Lost: 1}),
		"gap-cursor":            event.AppendGapBody(nil, event.Gap{Topic: updates, Reason: event.UnknownCursor, Lost: event.LostUnknown}),
		"ping":                  event.AppendPing(nil, noon),
		"close-draining":        event.AppendClose(nil, event.Draining, 3*time.Second),
		"close-token-expired":   event.AppendClose(nil, event.TokenExpired, 2*time.Second),
		"close-unavailable":     event.AppendClose(nil, event.Unavailable, 8*time.Second),
		"close-overloaded":      event.AppendClose(nil, event.Overloaded, 8*time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", name+".sse")
			if *update {
				if err := os.WriteFile(file, frame, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(frame, golden) {
				t.Errorf("got frame\n%q\nwant\n%q", frame, golden)
			}
			if events := parse(t, frame); len(events) != 1 {
				t.Errorf("got %d events from one frame: %v", len(events), events)
			}
		})
	}
}

func TestAppendBody_LargePayload(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string][]byte{
		"one line":    bytes.Repeat([]byte("0123456789abcdef"), mebibyte/16),
		"short lines": bytes.Repeat([]byte("0123456789abcd\r\n"), mebibyte/16),
		"breaks only": bytes.Repeat([]byte("\n"), mebibyte),
		"wide runes":  bytes.Repeat([]byte("🚀"), mebibyte/4),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := parse(t, dataFrame("", payload))
			if len(events) != 1 {
				t.Fatalf("got %d events", len(events))
			}
			if events[0].Data != delivered(payload) {
				t.Errorf("sent %d bytes, got %d different bytes", len(payload), len(events[0].Data))
			}
		})
	}
}

func TestAppendBody_ReplacesInvalidUTF8(t *testing.T) {
	t.Parallel()
	// One U+FFFD for each maximal subpart (Encoding standard, UTF-8 decoder).
	for _, tt := range []struct{ name, data, want string }{
		{"lone byte", "a\xffb", "a\ufffdb"},
		{"lone continuation", "\x80", "\ufffd"},
		{"overlong", "\xc0\xaf", "\ufffd\ufffd"},
		{"cut in the middle", "\xf0\x9f\x9a!", "\ufffd!"},
		{"cut at the end", "ok \xe2\x82", "ok \ufffd"},
		{"surrogate", "\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
		{"beyond Unicode", "\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},
		{"line break inside a sequence", "\xe2\n\x82", "\ufffd\n\ufffd"},
		{"CR inside a sequence", "\xe2\r\n\x82", "\ufffd\n\ufffd"},
		{"byte order mark before it", "\ufeff\xff", "\ufeff\ufffd"},
		{"UTF-16 byte order mark", "\xff\xfea\x00", "\ufffd\ufffda\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			events := parse(t, dataFrame("", []byte(tt.data)))
			if len(events) != 1 || events[0].Data != tt.want {
				t.Errorf("%q: got %q, want %q", tt.data, events, tt.want)
			}
		})
	}
}

func TestAppendBody_DoesNotModifyPayload(t *testing.T) {
	t.Parallel()
	payload := []byte("a\r\nb\xffc")
	event.AppendBody(nil, "", payload)
	if string(payload) != "a\r\nb\xffc" {
		t.Errorf("the bytes of the publisher changed to %q", payload)
	}
}

func FuzzAppendBody_RoundTrip(f *testing.F) {
	for _, seed := range []string{"", "x", "a\nb", "a\r\nb\r", "id: 1\n\nevent: x", " leading", "\ufeff", "\x00", "\xff\xfe", "\n", "\u2028", ":", "data", "data:"} {
		f.Add("", []byte(seed), "c-1")
		f.Add("order.created", []byte(seed), "topic@c")
	}
	f.Fuzz(func(t *testing.T, eventType string, data []byte, cursor string) {
		// Types are checked before they reach this function, and cursors are made by the gateway.
		if !utf8.ValidString(eventType) || strings.ContainsAny(eventType, "\r\n\x00") || strings.HasPrefix(eventType, " ") {
			t.Skip()
		}
		for i := range len(cursor) {
			if cursor[i] <= ' ' || cursor[i] >= 0x7f {
				t.Skip()
			}
		}
		stream := event.AppendID(nil, "", []byte(cursor))
		stream = event.AppendBody(stream, eventType, data)
		if !utf8.Valid(stream) {
			t.Fatalf("%q is not UTF-8", stream)
		}
		whole := len(stream)
		// The frame must not merge with the frames before and after it.
		stream = event.AppendBody(stream, "", []byte("behind"))
		events := parse(t, stream)
		if len(events) != 2 {
			t.Fatalf("%q: got %d events", stream, len(events))
		}
		want := delivered([]byte(strings.ToValidUTF8(string(data), "\ufffd")))
		got := events[0].Data
		if !utf8.Valid(data) {
			// Another test checks the number of replacement characters.
			got, want = squeezed(got), squeezed(want)
		}
		if got != want || events[0].Type != eventType || events[0].LastEventID != cursor {
			t.Errorf("id %q, type %q, data %q: got %+v", cursor, eventType, data, events[0])
		}
		if events[1].Data != "behind" {
			t.Errorf("frame after %q: got %+v", stream[:whole], events[1])
		}
	})
}

// squeezed replaces each run of U+FFFD by one.
func squeezed(s string) string {
	for strings.Contains(s, "\ufffd\ufffd") {
		s = strings.ReplaceAll(s, "\ufffd\ufffd", "\ufffd")
	}
	return s
}

func BenchmarkAppendBody(b *testing.B) {
	for _, bm := range []struct {
		name    string
		payload []byte
	}{
		{"bytes=64", bytes.Repeat([]byte("x"), 64)},
		{"bytes=1024", bytes.Repeat([]byte("x"), 1024)},
		{"bytes=65536/lines=1024", bytes.Repeat([]byte(strings.Repeat("x", 63)+"\n"), 1024)},
		{"bytes=1024/crlf", bytes.Repeat([]byte(strings.Repeat("x", 62)+"\r\n"), 16)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			buf := make([]byte, 0, 128<<10)
			b.SetBytes(int64(len(bm.payload)))
			b.ReportAllocs()
			for b.Loop() {
				buf = event.AppendBody(buf[:0], "", bm.payload)
			}
		})
	}
}
