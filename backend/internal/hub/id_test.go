package hub

import (
	"slices"
	"strings"
	"testing"

	"sluice/internal/event"
)

func literal(name string) event.Topic { return event.Literal(event.Channel, name) }

// idFor returns the id of an event of the first topic for a subscription to all topics.
func idFor(cursors []string, topics ...event.Topic) string {
	v := make(vector, len(topics))
	for i, t := range topics {
		v[i] = component{tag(t), cursors[i%len(cursors)]}
	}
	return event.Qualifier(topics[0]) + v.String()
}

func TestParseID_ReturnsCursorOfEachTopic(t *testing.T) {
	t.Parallel()
	a, b, glob := literal("a@ü"), event.Literal(event.Stream, "b"), event.Topic{Kind: event.Key, Pattern: "k:*"}
	many := make([]event.Topic, maxComponents)
	for i := range many {
		many[i] = literal(strings.Repeat("x", i+1))
	}
	for _, tt := range []struct {
		name    string
		id      string
		request []event.Topic
		want    vector
	}{
		{"one literal topic", "1-0", []event.Topic{b}, vector{{tag(b), "1-0"}}},
		{"an end", "1-0.end", []event.Topic{b}, vector{{tag(b), "1-0.end"}}},
		{"several", idFor([]string{"c.1", "1-0.end", "lost"}, a, b, glob), []event.Topic{a},
			vector{{tag(a), "c.1"}, {tag(b), "1-0.end"}, {tag(glob), "lost"}}},
		{"a glob", idFor([]string{"c.1"}, glob), []event.Topic{glob}, vector{{tag(glob), "c.1"}}},
		{"an event of a glob", event.Qualifier(literal("g")) + tag(glob) + "=c.1", []event.Topic{glob}, vector{{tag(glob), "c.1"}}},
		{"named by the client", "stream:b@1-0", []event.Topic{a, b}, vector{{tag(b), "1-0"}}},
		{"maximum number of topics", idFor([]string{"x"}, many...), many, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, ok := parseID(tt.id, tt.request)
			if !ok || tt.want != nil && !slices.Equal(v, tt.want) {
				t.Errorf("parseID(%q): got %v, %v, want %v", tt.id, v, ok, tt.want)
			}
		})
	}
}

func TestParseID_RejectsInvalidIDs(t *testing.T) {
	t.Parallel()
	a, b := literal("a"), event.Literal(event.Stream, "b")
	glob := event.Topic{Kind: event.Channel, Pattern: "a*"}
	ta, tb := tag(a), tag(b)
	tooMany := make([]event.Topic, maxComponents+1)
	for i := range tooMany {
		tooMany[i] = literal(strings.Repeat("x", i+1))
	}
	for _, id := range []string{
		"' OR 1=1", "a=b", ta + "=1", "x y", "é", "@", "@1-0", "=", ",", strings.Repeat("x", maxCursor+1),
		"list:a@" + ta + "=1", "channel:%zz@" + ta + "=1", "channel:%@" + ta + "=1", "channel:a@", "channel:a@=1", "channel:a@" + ta + "=",
		"channel:a@" + ta + "=1,", "channel:a@," + ta + "=1", "channel:a@" + ta + "=1,1-0", "channel:a@" + ta + "=1,," + tb + "=1",
		"channel:a@" + ta + "=1," + ta + "=2", "channel:a@" + ta[:6] + "=1", "channel:a@" + ta + "x=1", "channel:a@AAAAAAB=1",
		"channel:a@" + ta + "=1=2", "channel:a@" + ta + "=1@2", "channel:a@" + ta + "=1 ", "channel:a@" + ta + "=é", "channel:a@" + ta + "=%31",
		"channel:a*@1-0", "stream:b@" + ta + "=1", "channel:a*@" + ta + "=1", idFor([]string{"1"}, tooMany...),
	} {
		for _, request := range [][]event.Topic{{a}, {a, b}, {glob}} {
			if v, ok := parseID(id, request); ok {
				t.Errorf("parseID(%q) for %v: got %v, want an error", id, request, v)
			}
		}
	}
	for _, request := range [][]event.Topic{nil, {a, b}, {glob}} {
		if v, ok := parseID("1-0", request); ok {
			t.Errorf("cursor without a topic, for %v: got %v", request, v)
		}
	}
}

func FuzzParseID(f *testing.F) {
	a, b, glob := literal("a"), event.Literal(event.Stream, "b"), event.Topic{Kind: event.Key, Pattern: "k*"}
	for _, id := range []string{"", "1-0", "' OR 1=1", "a=b", "1-0.end", idFor([]string{"c.1", "1-0"}, a, b), idFor([]string{"lost"}, glob), "channel:%zz@x"} {
		f.Add(id, "c.1")
	}
	f.Fuzz(func(t *testing.T, id, cursor string) {
		for _, request := range [][]event.Topic{{a}, {a, b}, {glob}} {
			v, ok := parseID(id, request)
			_, covered := v.of(request[0])
			switch _, text := event.SplitID(id); {
			case !ok && v != nil && covered:
				t.Errorf("parseID(%q) fails and covers %v", id, request[0])
			case covered && strings.Contains(id, "=") && !strings.Contains(text, tag(request[0])+"="):
				t.Errorf("parseID(%q) covers %v, but has no cursor for it", id, request[0])
			case ok && strings.Contains(text, "=") && v.String() != text:
				t.Errorf("parseID(%q): got %v", id, v)
			}
		}
		for _, topics := range [][]event.Topic{{a, b}, {b, a, glob}, {glob}} {
			want := idFor([]string{cursor}, topics...)
			v, ok := parseID(want, topics)
			if ok != isCursor(cursor) {
				t.Errorf("parseID(%q): got %v", want, ok)
			}
			if ok && event.Qualifier(topics[0])+v.String() != want {
				t.Errorf("parseID(%q): got %v", want, v)
			}
		}
	})
}

// String returns the text of the vector: tag=cursor, separated by commas.
func (v vector) String() string {
	var b strings.Builder
	for i, c := range v {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(c.tag)
		b.WriteByte('=')
		b.WriteString(c.cursor)
	}
	return b.String()
}
