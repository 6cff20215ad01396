package event_test

import (
	"strings"
	"testing"

	"sluice/internal/event"
)

func TestQualifier_RoundTrip(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, topic, want string }{
		{"plain", "channel:updates", "channel:updates@"},
		{"glob", "channel:prices.*", "channel:prices.*@"},
		{"at sign", "channel:a@b", "channel:a%40b@"},
		{"percent", "channel:100%", "channel:100%25@"},
		{"looks encoded", "channel:%40", "channel:%2540@"},
		{"space", "key:a b", "key:a%20b@"},
		{"not ASCII", "channel:ü🚀", "channel:%C3%BC%F0%9F%9A%80@"},
		{"plus sign", "channel:a+b", "channel:a+b@"},
		{"escaped star", `stream:a\*b`, `stream:a\*b@`},
		{"comma and equals", "channel:a,b=c", "channel:a,b=c@"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			topic, err := event.ParseTopic(tt.topic)
			if err != nil {
				t.Fatal(err)
			}
			got := event.Qualifier(topic)
			if got != tt.want {
				t.Errorf("got Qualifier %q, want %q", got, tt.want)
			}
			back, cursor := event.SplitID(got + "tag=e-1,tag2=e-2")
			if back != topic || cursor != "tag=e-1,tag2=e-2" {
				t.Errorf("SplitID: got %q and %q", back, cursor)
			}
		})
	}
}

// A glob matches names that no subscription may contain.
func TestSplitID_AnyName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "\n", "\x00\x7f", "\xff", "[", "*", strings.Repeat("é", event.MaxNameBytes)} {
		topic := event.Literal(event.Key, name)
		if back, cursor := event.SplitID(event.Qualifier(topic) + "c-1"); back != topic || cursor != "c-1" {
			t.Errorf("%.20q: got topic %.40q and cursor %q", name, back, cursor)
		}
	}
}

// A client may use any spelling of a topic.
func TestSplitID_TopicInAnySpelling(t *testing.T) {
	t.Parallel()
	for spelled, want := range map[string]string{
		"channel:updates":    "channel:updates",
		"channel:[u]pdates":  "channel:updates",
		"key:price:[cba]**":  "key:price:[a-c]*",
		"key:price:[a-c]*":   "key:price:[a-c]*",
		"channel:%5Ba%5D%40": "channel:a@",
	} {
		if topic, cursor := event.SplitID(spelled + "@c-1"); topic.String() != want || cursor != "c-1" {
			t.Errorf("%q: got topic %q and cursor %q", spelled, topic, cursor)
		}
	}
}

func TestSplitID_KeepsCursorOfAnyText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, id, cursor string }{
		{"no topic", "1763820000000-0", "1763820000000-0"},
		{"nothing", "", ""},
		{"topic that cannot be read", "list:a@c-1", "c-1"},
		{"bad encoding", "channel:%zz@c-1", "c-1"},
		{"only a separator", "@", ""},
		{"a second separator", "channel:a@b@c", "b@c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			topic, cursor := event.SplitID(tt.id)
			if cursor != tt.cursor {
				t.Errorf("got cursor %q, want %q", cursor, tt.cursor)
			}
			if tt.id != "channel:a@b@c" && topic != (event.Topic{}) {
				t.Errorf("got topic %q, want none", topic)
			}
		})
	}
}
