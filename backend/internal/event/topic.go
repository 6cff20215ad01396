// Package event defines the types that all other packages use: topics and globs, events, ids, and
// the encoding of Server-Sent Events. No other package encodes Server-Sent Events. The package
// imports no other package of Sluice.
package event

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind is the Redis data type that a topic follows.
type Kind uint8

// The kinds of topics. The zero Kind is not valid.
const (
	Channel Kind = iota + 1 // Pub/Sub
	Stream                  // Redis Stream
	Key                     // the value of a key
)

var kindNames = [...]string{Channel: "channel", Stream: "stream", Key: "key"}

// Kinds lists all kinds in the order of the documentation.
var Kinds = []Kind{Channel, Stream, Key}

// String returns the name of the kind as in the text of a topic.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// MaxNameBytes bounds the name of a topic.
const MaxNameBytes = 1024

// Topic identifies data in Redis that can be followed: a kind, and a name or a glob of names in the
// syntax of Redis ("prices.*", `literal\*star`). Topics are comparable. [NewTopic] makes the
// pattern canonical, so different spellings of one name or glob are equal.
type Topic struct {
	Kind    Kind
	Pattern string
}

// ErrBadTopic is wrapped by all errors about a topic that is not valid.
var ErrBadTopic = errors.New("bad topic")

// NewTopic returns the topic with a kind and a name or glob. It returns an error that wraps
// [ErrBadTopic] if the pattern is not valid, or if it is a glob of streams.
func NewTopic(kind Kind, pattern string) (Topic, error) {
	t, err := NewGrantTopic(kind, pattern)
	if err == nil && kind == Stream && t.IsGlob() {
		return Topic{}, fmt.Errorf("%w: a stream is followed by its literal name, and %q is a glob; write \\*, \\? or \\[ for the character itself", ErrBadTopic, pattern)
	}
	return t, err
}

// NewGrantTopic is [NewTopic] for permissions, which may contain globs of streams.
func NewGrantTopic(kind Kind, pattern string) (Topic, error) {
	switch {
	case pattern == "":
		return Topic{}, fmt.Errorf("%w: the name of a %s is empty", ErrBadTopic, kind)
	case len(pattern) > MaxNameBytes:
		return Topic{}, fmt.Errorf("%w: a name of %d bytes is longer than the limit of %d", ErrBadTopic, len(pattern), MaxNameBytes)
	case !utf8.ValidString(pattern):
		return Topic{}, fmt.Errorf("%w: %q is not valid UTF-8", ErrBadTopic, pattern)
	case strings.ContainsFunc(pattern, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return Topic{}, fmt.Errorf("%w: %q has a control character", ErrBadTopic, pattern)
	}
	return newAnyTopic(kind, pattern)
}

// newAnyTopic is [NewGrantTopic] for all names that Redis allows. A glob can match a name that no
// subscription may contain.
func newAnyTopic(kind Kind, pattern string) (Topic, error) {
	g := CompileGlob(pattern)
	if problem := g.problem(); problem != "" {
		return Topic{}, fmt.Errorf("%w: %q %s", ErrBadTopic, pattern, problem)
	}
	return Topic{kind, g.String()}, nil
}

// Literal returns the topic with a literal name, which may contain any characters.
func Literal(kind Kind, name string) Topic {
	if !strings.ContainsAny(name, globMeta) {
		return Topic{kind, name}
	}
	var b strings.Builder
	for i := range len(name) {
		writeEscaped(&b, name[i], globMeta)
	}
	return Topic{kind, b.String()}
}

// ParseTopic parses "kind:name", for instance "channel:prices.*".
func ParseTopic(s string) (Topic, error) {
	return parseTopic(s, NewTopic)
}

// ParseGrantTopic is [ParseTopic] for permissions, which may contain globs of streams.
func ParseGrantTopic(s string) (Topic, error) {
	return parseTopic(s, NewGrantTopic)
}

func parseTopic(s string, build func(Kind, string) (Topic, error)) (Topic, error) {
	name, pattern, _ := strings.Cut(s, ":")
	for _, k := range Kinds {
		if name == k.String() {
			return build(k, pattern)
		}
	}
	return Topic{}, fmt.Errorf("%w: %q does not begin with a kind (channel:, stream: or key:)", ErrBadTopic, s)
}

// String returns the topic as "kind:name", the inverse of [ParseTopic].
func (t Topic) String() string {
	return t.Kind.String() + ":" + t.Pattern
}

// IsGlob reports whether the topic stands for more than one name.
func (t Topic) IsGlob() bool {
	return strings.ContainsAny(t.Pattern, globMeta) && CompileGlob(t.Pattern).isGlob()
}

// Name returns the name of a literal topic, without escapes.
func (t Topic) Name() string {
	if !strings.Contains(t.Pattern, `\`) {
		return t.Pattern
	}
	name := make([]byte, 0, len(t.Pattern))
	for _, tok := range CompileGlob(t.Pattern) {
		name = append(name, tok.char)
	}
	return string(name)
}

// Covers reports whether t stands for every name that u stands for. It may return false for an
// unusual pair of globs that t does cover; the result true is always correct. See [Glob.Covers].
func (t Topic) Covers(u Topic) bool {
	return t.Kind == u.Kind && CompileGlob(t.Pattern).Covers(CompileGlob(u.Pattern))
}
