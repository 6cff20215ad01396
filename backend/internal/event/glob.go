package event

import (
	"slices"
	"strings"
)

// globMeta holds the characters that are special in a glob.
const globMeta = `*?[\`

// Glob is a compiled pattern that matches as PSUBSCRIBE and KEYS of Redis do. It matches bytes:
// * any run of bytes, ? any byte, [a-c] and [^x] one byte of a set, and \x the literal byte x.
type Glob []token

// token matches one byte, or any run of bytes.
type token struct {
	char byte     // the only byte that matches, if set is nil
	set  *byteSet // for ?, anyByte; for *, anyRun
}

type byteSet [256]bool

// The tokens of ? and * have these sets, which no other tokens have.
var (
	anyByte = new(byteSet).complement()
	anyRun  = new(byteSet)
)

// CompileGlob compiles a pattern. Every pattern is valid: as in Redis, an unclosed set ends with the
// pattern, and a final \ is literal.
func CompileGlob(pattern string) Glob {
	g := make(Glob, 0, len(pattern))
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*':
			g = append(g, token{set: anyRun})
		case c == '?':
			g = append(g, token{set: anyByte})
		case c == '[':
			var s *byteSet
			s, i = compileSet(pattern, i+1)
			g = append(g, s.token())
		case c == '\\' && i+1 < len(pattern):
			i++
			g = append(g, token{char: pattern[i]})
		default:
			g = append(g, token{char: c})
		}
	}
	return g.normalised()
}

// compileSet compiles the set whose content begins at pattern[i]. It returns the set and the index
// of its closing bracket.
func compileSet(pattern string, i int) (*byteSet, int) {
	var s byteSet
	negated := i < len(pattern) && pattern[i] == '^'
	if negated {
		i++
	}
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			s[pattern[i]] = true
		case i+2 < len(pattern) && pattern[i+1] == '-':
			lo, hi := min(pattern[i], pattern[i+2]), max(pattern[i], pattern[i+2])
			for c := int(lo); c <= int(hi); c++ {
				s[c] = true
			}
			i += 2
		default:
			s[pattern[i]] = true
		}
	}
	if negated {
		s.complement()
	}
	return &s, i
}

// complement replaces the set by its complement, and returns it.
func (s *byteSet) complement() *byteSet {
	for c := range s {
		s[c] = !s[c]
	}
	return s
}

// token returns the token of a set. A set of one byte becomes a char, and a set of all bytes
// becomes ?, so equal patterns compile to equal tokens.
func (s *byteSet) token() token {
	size, last := 0, 0
	for c := range s {
		if s[c] {
			size, last = size+1, c
		}
	}
	switch size {
	case 1:
		return token{char: byte(last)}
	case len(s):
		return token{set: anyByte}
	}
	return token{set: s}
}

// normalised replaces each run of * and ? by its ?s and then one *. Equal runs compare equal then,
// and no star follows another.
func (g Glob) normalised() Glob {
	out := g[:0]
	pending := false
	for _, t := range g {
		if t.set == anyRun {
			pending = true
			continue
		}
		if pending && t.set != anyByte {
			out = append(out, token{set: anyRun})
			pending = false
		}
		out = append(out, t)
	}
	if pending {
		out = append(out, token{set: anyRun})
	}
	return out
}

// String returns the canonical pattern of g, which is the same for all patterns with the same
// characters, sets and runs. It matches the same names as g if g has no problem; see
// [Glob.problem].
func (g Glob) String() string {
	var b strings.Builder
	for _, t := range g {
		switch t.set {
		case nil:
			writeEscaped(&b, t.char, globMeta)
		case anyRun:
			b.WriteByte('*')
		case anyByte:
			b.WriteByte('?')
		default:
			t.set.write(&b)
		}
	}
	return b.String()
}

func writeEscaped(b *strings.Builder, c byte, meta string) {
	if strings.IndexByte(meta, c) >= 0 {
		b.WriteByte('\\')
	}
	b.WriteByte(c)
}

// setMeta holds the characters that are special between brackets. As the end of a range, Redis
// treats them literally.
const setMeta = `]^-\`

// write writes a set in ascending order, with three or more consecutive bytes as a range. Topics
// contain no NUL, so a set that contains NUL was negated.
func (s *byteSet) write(b *strings.Builder) {
	b.WriteByte('[')
	negated := s[0]
	if negated {
		b.WriteByte('^')
	}
	for c := 0; c < ascii; c++ {
		if s[c] == negated {
			continue
		}
		end := c
		for end+1 < ascii && s[end+1] != negated {
			end++
		}
		writeEscaped(b, byte(c), setMeta)
		if end-c >= 2 && strings.IndexByte(setMeta, byte(c)) < 0 {
			b.WriteByte('-')
			b.WriteByte(byte(end))
			c = end
		}
	}
	b.WriteByte(']')
}

// ascii is the number of ASCII characters.
const ascii = 128

// problem returns the reason why a topic cannot have the pattern, or "" if it can.
func (g Glob) problem() string {
	for _, t := range g {
		if t.set == nil || t.set == anyRun {
			continue
		}
		if *t.set == (byteSet{}) {
			return `has a set that matches nothing; write \[ for the bracket itself`
		}
		for _, has := range t.set[ascii:] {
			if has != t.set[0] { // the byte is part of a character that the set names
				return "has a character in a set that is several bytes, of which a set matches one; sets can have ASCII characters only"
			}
		}
	}
	return ""
}

func (g Glob) isGlob() bool {
	return slices.ContainsFunc(g, func(t token) bool { return t.set != nil })
}

// matches reports whether the token matches one byte. It returns false for *.
func (t token) matches(c byte) bool {
	if t.set == nil {
		return t.char == c
	}
	return t.set[c]
}

// Match reports whether g matches name. It needs at most len(g)·len(name) steps for any pattern.
func (g Glob) Match(name string) bool {
	i, j := 0, 0
	lastStar, retry := -1, 0 // positions from which to retry after a mismatch
	for j < len(name) {
		switch {
		case i < len(g) && g[i].set == anyRun:
			lastStar, retry = i, j
			i++
		case i < len(g) && g[i].matches(name[j]):
			i++
			j++
		case lastStar >= 0:
			retry++
			i, j = lastStar+1, retry
		default:
			return false
		}
	}
	return i == len(g) || i == len(g)-1 && g[i].set == anyRun
}

// Covers reports whether every name that matches other matches g too. The result true is always
// correct. The result false may be wrong if a star of g has to cover different parts of other for
// different names.
func (g Glob) Covers(other Glob) bool {
	// reach[j] reports whether g[:i] covers other[:j]; computed row by row.
	reach := make([]bool, len(other)+1)
	reach[0] = true
	for _, t := range g {
		next := make([]bool, len(other)+1)
		for j := range next {
			if t.set == anyRun {
				next[j] = reach[j] || j > 0 && next[j-1]
			} else {
				next[j] = j > 0 && reach[j-1] && t.covers(other[j-1])
			}
		}
		reach = next
	}
	return reach[len(other)]
}

func (t token) covers(u token) bool {
	switch {
	case u.set == anyRun:
		return false
	case u.set == nil:
		return t.matches(u.char)
	}
	for c := range 256 {
		if u.set[c] && !t.matches(byte(c)) {
			return false
		}
	}
	return true
}
