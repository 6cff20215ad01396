// Package event holds the words that every other package uses: topics and how
// their globs match, identifiers, and the text of Server-Sent Events. It is the
// only place that knows that text, and it imports nothing else of Sluice.
package event

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind is the Redis data type that a topic follows.
type Kind uint8

// The kinds of topics. The zero Kind is none of them.
const (
	Channel Kind = iota + 1 // Pub/Sub
	Stream                  // Redis Stream
	Key                     // the value of a key
)

var kindNames = [...]string{Channel: "channel", Stream: "stream", Key: "key"}

// Kinds lists all kinds in the order in which the documentation names them.
var Kinds = []Kind{Channel, Stream, Key}

// String returns the name of the kind as it stands in a topic.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// MaxNameBytes bounds the name of a topic.
const MaxNameBytes = 1024

// Topic is what can be followed: a kind, and a name or a glob of names as Redis
// writes them ("prices.*", `literal\*star`). It is comparable: two spellings of one
// name, or of one glob, are equal, so that they are followed once.
type Topic struct {
	Kind    Kind
	Pattern string
}

// ErrBadTopic is wrapped by every error about a topic that cannot be followed.
var ErrBadTopic = errors.New("bad topic")

// NewTopic returns the topic of that kind with that name or glob. A glob is
// refused where the kind has none; see [NewGrantTopic] for lists of permissions.
func NewTopic(kind Kind, pattern string) (Topic, error) {
	t, err := NewGrantTopic(kind, pattern)
	if err == nil && kind == Stream && t.IsGlob() {
		return Topic{}, fmt.Errorf("%w: a stream is followed by its literal name, and %q is a glob; write \\*, \\? or \\[ for the character itself", ErrBadTopic, pattern)
	}
	return t, err
}

// NewGrantTopic is [NewTopic] for lists of permissions, in which streams may be
// given as globs too.
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
	g := CompileGlob(pattern)
	if problem := g.problem(); problem != "" {
		return Topic{}, fmt.Errorf("%w: %q %s", ErrBadTopic, pattern, problem)
	}
	return Topic{kind, g.String()}, nil
}

// Literal returns the topic of exactly that name, whatever characters it has.
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

// ParseGrantTopic is [ParseTopic] for lists of permissions, in which streams may
// be given as globs too.
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
	return Topic{}, fmt.Errorf("%w: %q begins with none of channel:, stream: and key: as a topic must", ErrBadTopic, s)
}

// String returns the topic as "kind:name", the inverse of [ParseTopic].
func (t Topic) String() string {
	return t.Kind.String() + ":" + t.Pattern
}

// IsGlob reports whether the topic stands for more than one name.
func (t Topic) IsGlob() bool {
	return strings.ContainsAny(t.Pattern, globMeta) && CompileGlob(t.Pattern).isGlob()
}

// Name returns the name that a literal topic stands for, escapes removed.
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

// Covers reports whether every name that u stands for is one of t's. It may say
// no for an unusual pair of globs of which t does cover u, never yes for one of
// which it does not.
func (t Topic) Covers(u Topic) bool {
	return t.Kind == u.Kind && CompileGlob(t.Pattern).Covers(CompileGlob(u.Pattern))
}
