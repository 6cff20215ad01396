package event_test

import (
	"errors"
	"strings"
	"testing"

	"sluice/internal/event"
)

func TestParseTopic(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text    string
		kind    event.Kind
		pattern string // as String returns it
		glob    bool
		name    string // only of a literal
	}{
		{"channel:updates", event.Channel, "updates", false, "updates"},
		{"stream:orders", event.Stream, "orders", false, "orders"},
		{"key:price:BTC", event.Key, "price:BTC", false, "price:BTC"},
		{"channel:a:b:c", event.Channel, "a:b:c", false, "a:b:c"},
		{"channel: ", event.Channel, " ", false, " "},
		{"channel:prices.*", event.Channel, "prices.*", true, ""},
		{"key:price:?TC", event.Key, "price:?TC", true, ""},
		{"channel:[ab]c", event.Channel, "[ab]c", true, ""},
		{"channel:[^", event.Channel, "?", true, ""},
		{`channel:literal\*star`, event.Channel, `literal\*star`, false, "literal*star"},
		{`stream:a\*b`, event.Stream, `a\*b`, false, "a*b"},
		{`channel:a\b`, event.Channel, "ab", false, "ab"},
		{`channel:a\\b`, event.Channel, `a\\b`, false, `a\b`},
		{`channel:end\`, event.Channel, `end\\`, false, `end\`},
		{`channel:\[x]`, event.Channel, `\[x]`, false, "[x]"},
		{"channel:x]", event.Channel, "x]", false, "x]"},
		{"channel:Grüße 世界🚀", event.Channel, "Grüße 世界🚀", false, "Grüße 世界🚀"},
		{"channel:" + strings.Repeat("n", event.MaxNameBytes), event.Channel, strings.Repeat("n", event.MaxNameBytes), false, strings.Repeat("n", event.MaxNameBytes)},
	} {
		t.Run(tt.text[:min(len(tt.text), 40)], func(t *testing.T) {
			t.Parallel()
			topic, err := event.ParseTopic(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if want := (event.Topic{Kind: tt.kind, Pattern: tt.pattern}); topic != want {
				t.Errorf("got topic %+v, want %+v", topic, want)
			}
			if topic.IsGlob() != tt.glob {
				t.Errorf("got IsGlob %v", topic.IsGlob())
			}
			if !tt.glob && topic.Name() != tt.name {
				t.Errorf("got Name %q, want %q", topic.Name(), tt.name)
			}
		})
	}
}

func TestParseTopic_RejectsInvalid(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text string }{
		{"nothing", ""},
		{"no kind", "updates"},
		{"unknown kind", "list:a"},
		{"kind in capitals", "Channel:a"},
		{"empty name", "channel:"},
		{"only the kind", "channel"},
		{"glob on a stream", "stream:orders.*"},
		{"glob on a stream, after an escaped star", `stream:a\*b*`},
		{"an empty set", "channel:[]"},
		{"an unterminated empty set", "channel:["},
		{"an empty set among others", "channel:a*[bc][]"},
		{"half a character", "channel:[ü]"},
		{"anything but half a character", "key:[^ü]"},
		{"a range that ends in half a character", "key:[a-ü]"},
		{"too long", "channel:" + strings.Repeat("n", event.MaxNameBytes+1)},
		{"not UTF-8", "channel:\xff"},
		{"line break", "channel:a\nb"},
		{"carriage return", "channel:a\rb"},
		{"NUL", "channel:a\x00b"},
		{"delete character", "channel:a\x7fb"},
		{"the kind unknown", "unknown:a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			topic, err := event.ParseTopic(tt.text)
			if !errors.Is(err, event.ErrBadTopic) {
				t.Fatalf("%q: got %+v, %v", tt.text, topic, err)
			}
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("the error is not one clean line: %q", err.Error())
			}
		})
	}
}

func TestParseGrantTopic_AcceptsStreamGlobs(t *testing.T) {
	t.Parallel()
	topic, err := event.ParseGrantTopic("stream:orders:*")
	if err != nil {
		t.Fatal(err)
	}
	if want := (event.Topic{Kind: event.Stream, Pattern: "orders:*"}); topic != want {
		t.Errorf("got topic %+v, want %+v", topic, want)
	}
	if _, err := event.ParseGrantTopic("stream:"); !errors.Is(err, event.ErrBadTopic) {
		t.Errorf("empty name: got error %v", err)
	}
}

func TestTopic_EqualSpellings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, a, b string }{
		{"needless escape", `channel:a\bc`, "channel:abc"},
		{"escaped escape at the end", `channel:a\`, `channel:a\\`},
		{"escaped bracket", `channel:x\]`, "channel:x]"},
		{"escaped colon in a stream", `stream:a\:b`, "stream:a:b"},
		{"a set with one member", "channel:[u]pdates", "channel:updates"},
		{"a set with one repeated member", "channel:[uuu][p-p]dates", "channel:updates"},
		{"a set with one member in a stream", "stream:[o]rders", "stream:orders"},
		{"a set with one special member", "channel:[*]", `channel:\*`},
		{"a set of everything", "channel:[^]x", "channel:?x"},
		{"the order in a set", "channel:[cab]", "channel:[a-c]"},
		{"a range backwards", "channel:[c-a]", "channel:[a-c]"},
		{"ranges that overlap", "channel:[a-kf-z]", "channel:[a-z]"},
		{"needless escapes in a set", `channel:[\b\a]`, "channel:[ab]"},
		{"an unterminated set", "channel:[ab", "channel:[ab]"},
		{"needless order of what is excluded", "channel:[^b-ca]", "channel:[^a-c]"},
		{"special characters in a set", `channel:[-\]^]`, `channel:[\-\]\^]`},
		{"stars", "channel:a***", "channel:a*"},
		{"stars and question marks", "channel:*?*?", "channel:??*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := event.ParseTopic(tt.a)
			if err != nil {
				t.Fatal(err)
			}
			b, err := event.ParseTopic(tt.b)
			if err != nil {
				t.Fatal(err)
			}
			if a != b {
				t.Errorf("%q and %q: got %+v and %+v", tt.a, tt.b, a, b)
			}
		})
	}
}

func FuzzParseTopic_RoundTrip(f *testing.F) {
	for _, seed := range []string{"channel:updates", "channel:prices.*", `key:\*`, `stream:a\*b`, `channel:a\`, `channel:\\`, "channel:[a-c]", "channel:[^", `channel:[\]]`, "key:🚀", "list:x", "channel:a b@c%d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		topic, err := event.ParseTopic(text)
		if err != nil {
			if !errors.Is(err, event.ErrBadTopic) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		again, err := event.ParseTopic(topic.String())
		// Escaping every special character can make a name of maximum length too long.
		if err != nil && len(topic.Pattern) <= event.MaxNameBytes {
			t.Fatalf("%q has the spelling %q, which is rejected: %v", text, topic, err)
		}
		if err == nil && again != topic {
			t.Errorf("%q has the spelling %q, which has the spelling %q", text, topic, again)
		}
		if !topic.Covers(topic) {
			t.Errorf("%q does not cover itself", topic)
		}
		if id, cursor := event.SplitID(event.Qualifier(topic) + "c-1"); err == nil && (id != topic || cursor != "c-1") {
			t.Errorf("%q: got %q, %q from its id", topic, id, cursor)
		}
	})
}

func FuzzLiteral_NameRoundTrip(f *testing.F) {
	for _, seed := range []string{"", "a", "*", "a*b?c[d]e", `\`, `\\*`, "\xff\x00\n", "🚀", "[^a-z]"} {
		f.Add(seed, "x")
	}
	f.Fuzz(func(t *testing.T, name, other string) {
		topic := event.Literal(event.Channel, name)
		if topic.Name() != name || topic.IsGlob() {
			t.Errorf("%q: got %+v with name %q", name, topic, topic.Name())
		}
		glob := event.CompileGlob(topic.Pattern)
		if !glob.Match(name) {
			t.Errorf("%+v does not match its name %q", topic, name)
		}
		if other != name && glob.Match(other) {
			t.Errorf("%+v matches %q", topic, other)
		}
	})
}
