package event_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/test/redistest"
)

var globTable = []struct {
	pattern string
	match   []string
	refuse  []string
}{
	{"*", []string{"a", "ab", "*"}, nil},
	{"a", []string{"a"}, []string{"b", "aa", "A"}},
	{"a*", []string{"a", "ab", "a*b"}, []string{"ba"}},
	{"*a", []string{"a", "ba", "aba"}, []string{"ab"}},
	{"a*b*c", []string{"abc", "axxbyyc", "abbcc"}, []string{"ab", "acb"}},
	{"**", []string{"a", "ab"}, nil},
	{"?", []string{"a", "?"}, []string{"ab", "ü"}}, // a byte, not a character
	{"??", []string{"ab", "ü"}, []string{"a", "abc"}},
	{"a?*", []string{"ab", "abc"}, []string{"a"}},
	{"a*?", []string{"ab", "abc"}, []string{"a"}},
	{"[ab]c", []string{"ac", "bc"}, []string{"cc", "c", "abc"}},
	{"[a-c]", []string{"a", "b", "c"}, []string{"d", "-"}},
	{"[c-a]", []string{"a", "b", "c"}, []string{"d", "-"}},
	{"[^a-c]", []string{"d", "^", "-"}, []string{"a", "b", "c", "dd"}},
	{"[^]", []string{"a", "]"}, []string{"ab"}},
	{"[]", nil, []string{"a", "]", "[]"}},
	{"[]a]", nil, []string{"a", "]", "]a]"}},
	{"[a", []string{"a"}, []string{"b", "[a"}},
	{"[", nil, []string{"[", "a"}},
	{"[^", []string{"a", "["}, []string{"ab"}},
	{"[a-", []string{"a", "-"}, []string{"b"}},
	{"[a-]", []string{"a", "]", "^"}, []string{"-", "b"}}, // a range from ] to a
	{"[-a]", []string{"-", "a"}, []string{"b"}},
	{`[\]]`, []string{"]"}, []string{`\`, "a"}},
	{`[\-a]`, []string{"-", "a"}, []string{"b", `\`}},
	{`[a\`, []string{"a", `\`}, []string{"b"}},
	{`[\a-c]`, []string{"a", "-", "c"}, []string{"b"}},
	{`\*`, []string{"*"}, []string{"a", `\*`}},
	{`a\?`, []string{"a?"}, []string{"ab"}},
	{`a\`, []string{`a\`}, []string{"a"}},
	{`a\\`, []string{`a\`}, []string{`a\\`}},
	{`\a`, []string{"a"}, []string{`\a`}},
	{"a^b", []string{"a^b"}, []string{"ab"}},
	{"a-b", []string{"a-b"}, []string{"ab"}},
}

func TestGlob_Match(t *testing.T) {
	t.Parallel()
	for _, tt := range globTable {
		t.Run(tt.pattern, func(t *testing.T) {
			t.Parallel()
			g := event.CompileGlob(tt.pattern)
			for _, name := range tt.match {
				if !g.Match(name) {
					t.Errorf("does not match %q", name)
				}
			}
			for _, name := range tt.refuse {
				if g.Match(name) {
					t.Errorf("matches %q", name)
				}
			}
		})
	}
}

// redisMatches returns which names each pattern matches in Redis.
func redisMatches(t *testing.T, patterns, names []string) []map[string]bool {
	t.Helper()
	client := redistest.Start(t).Client()
	ctx := context.Background()
	pipe := client.Pipeline()
	for _, name := range names {
		pipe.Set(ctx, name, "", 0)
	}
	keys := make([]*redis.StringSliceCmd, len(patterns))
	for i, p := range patterns {
		keys[i] = pipe.Keys(ctx, p)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	matches := make([]map[string]bool, len(patterns))
	for i, cmd := range keys {
		matches[i] = make(map[string]bool)
		for _, name := range cmd.Val() {
			matches[i][name] = true
		}
	}
	return matches
}

// globAlphabet consists mainly of special characters, so random patterns cover unusual syntax.
const globAlphabet = `ab*?[]^-\`

func randomText(rnd *rand.Rand, alphabet string, most int) string {
	b := make([]byte, 1+rnd.IntN(most))
	for i := range b {
		b[i] = alphabet[rnd.IntN(len(alphabet))]
	}
	return string(b)
}

func randomTexts(rnd *rand.Rand, n int, alphabet string, most int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = randomText(rnd, alphabet, most)
	}
	return texts
}

// seeded returns a random source and logs its seed.
func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("random seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

func TestGlob_MatchesLikeRedis(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	var patterns, names []string
	for _, tt := range globTable {
		patterns = append(patterns, tt.pattern)
		names = append(names, tt.match...)
		names = append(names, tt.refuse...)
	}
	patterns = append(patterns, randomTexts(rnd, 4000, globAlphabet, 8)...)
	names = append(names, randomTexts(rnd, 300, `aab]^-\*`, 5)...)
	matched := 0
	for i, want := range redisMatches(t, patterns, names) {
		g := event.CompileGlob(patterns[i])
		for _, name := range names {
			if g.Match(name) != want[name] {
				t.Errorf("pattern %q, name %q: want %v as in Redis", patterns[i], name, want[name])
			}
			if want[name] {
				matched++
			}
		}
	}
	if matched < len(patterns) {
		t.Errorf("got only %d matches: the test needs more", matched)
	}
}

func TestTopic_Covers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"channel:a.*", "channel:a.b.*", true},
		{"channel:a.*", "channel:a.*", true},
		{"channel:a.*", "channel:a.b", true},
		{"channel:a.*", `channel:a.\*`, true},
		{"channel:a.*", "channel:a.?", true},
		{"channel:a.*", "channel:a.[bc]x*", true},
		{"channel:*", "channel:*", true},
		{"channel:*", "channel:x", true},
		{"channel:a*b*", "channel:a*b", true},
		{"channel:?*", "channel:*?", true},
		{"channel:[a-z]", "channel:[b-d]", true},
		{"channel:[^a]", "channel:[bc]", true},
		{"channel:?", "channel:[^a]", true},
		{"stream:orders:*", "stream:orders:7", true},
		{"channel:updates", "channel:updates", true},

		{"channel:updates", "channel:*", false},
		{"channel:updates", "channel:update?", false},
		{"channel:a.*", "channel:a*", false},
		{"channel:a.*", "channel:*", false},
		{"channel:a.*", "channel:a", false},
		{"channel:a.?", "channel:a.*", false},
		{"channel:[b-d]", "channel:[a-z]", false},
		{"channel:[bc]", "channel:[^a]", false},
		{"channel:[a-c]", "channel:?", false},
		{`channel:a\*`, "channel:a*", false},
		{`channel:a\*`, "channel:ab", false},
		{"channel:*", "key:x", false},
		{"key:*", "channel:x", false},
		{"channel:*", "stream:x", false},
		{"channel:user.4", "channel:user.42", false},
		{"channel:user.42", "channel:user.4", false},
	} {
		t.Run(tt.a+" "+tt.b, func(t *testing.T) {
			t.Parallel()
			a, err := event.ParseGrantTopic(tt.a)
			if err != nil {
				t.Fatal(err)
			}
			b, err := event.ParseGrantTopic(tt.b)
			if err != nil {
				t.Fatal(err)
			}
			if a.Covers(b) != tt.want {
				t.Errorf("got Covers %v", !tt.want)
			}
		})
	}
}

func TestGlob_HasOneSpelling(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ pattern, want string }{
		{"a*b", "a*b"},
		{"*?**?", "??*"},
		{"[a]", "a"},
		{`[\]]`, "]"},
		{"[?]", `\?`},
		{`\a\*`, `a\*`},
		{`a\`, `a\\`},
		{"[^]", "?"},
		{"[ba]", "[ab]"},
		{"[abc]", "[a-c]"},
		{"[a-cb-d]", "[a-d]"},
		{"[c-a]", "[a-c]"},
		{"[^ba]", "[^ab]"},
		{"[a^]", `[\^a]`},
		{`[+\-.]`, `[+\-.]`},
		{"[!--]", "[!--]"},
		{"[Z-]]", `[Z-]]`},
		{"[z-]]", `[\]\^_-z]`},
		{`[!-~]`, "[!-~]"},
	} {
		if got := event.CompileGlob(tt.pattern).String(); got != tt.want {
			t.Errorf("%q: got spelling %q, want %q", tt.pattern, got, tt.want)
		}
	}
}

// The canonical spelling must mean the same to Redis as the original.
func TestGlob_SpellingIsEqualInRedis(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	names := randomTexts(rnd, 300, `aab]^-\*`, 5)
	var asked, spelled []string
	for _, pattern := range randomTexts(rnd, 4000, globAlphabet, 8) {
		if topic, err := event.NewTopic(event.Key, pattern); err == nil {
			asked, spelled = append(asked, pattern), append(spelled, topic.Pattern)
		}
	}
	matches := redisMatches(t, slices.Concat(asked, spelled), names)
	for i := range asked {
		if !maps.Equal(matches[i], matches[i+len(asked)]) {
			t.Errorf("%q matches %v, but its spelling %q matches %v", asked[i], matches[i], spelled[i], matches[i+len(asked)])
		}
	}
}

func FuzzGlob_SpellingIsCanonical(f *testing.F) {
	f.Add("[uu][p-p]dates", "updates", uint64(1))
	f.Add("[z-]]*?*", "]x", uint64(2))
	f.Add(`[^\^-\]`, "]", uint64(3))
	f.Add("[^]**[!--", "x-", uint64(4))
	f.Fuzz(func(t *testing.T, pattern, name string, seed uint64) {
		topic, err := event.NewGrantTopic(event.Key, pattern)
		if err != nil {
			t.Skip()
		}
		asked, spelled := event.CompileGlob(pattern), event.CompileGlob(topic.Pattern)
		if asked.Match(name) != spelled.Match(name) {
			t.Errorf("%q and its spelling %q differ for %q", pattern, topic.Pattern, name)
		}
		if again := spelled.String(); again != topic.Pattern {
			t.Errorf("%q has the spelling %q, which has the spelling %q", pattern, topic.Pattern, again)
		}
		other := respelled(rand.New(rand.NewPCG(seed, 0)), asked)
		if got := event.CompileGlob(other).String(); got != topic.Pattern {
			t.Errorf("%q has the spelling %q, but the equal pattern %q has %q", pattern, topic.Pattern, other, got)
		}
	})
}

// respelled writes a glob in another way. It writes each element as a set of the bytes that it
// matches, in any order and partly repeated.
func respelled(rnd *rand.Rand, g event.Glob) string {
	var b strings.Builder
	for i := range g {
		place := g[i : i+1]
		if place.Match("") { // a star
			b.WriteString(strings.Repeat("*", 1+rnd.IntN(3)))
			continue
		}
		negated := place.Match("\x00")
		var members []byte
		for c := range 128 {
			if place.Match(string(rune(c))) != negated {
				members = append(members, byte(c))
			}
		}
		if len(members) == 0 && !negated { // half a character, outside of a set
			return g.String()
		}
		b.WriteByte('[')
		if negated {
			b.WriteByte('^')
		}
		members = append(members, members[:rnd.IntN(len(members)+1)]...)
		rnd.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		for _, c := range members {
			b.WriteByte('\\')
			b.WriteByte(c)
		}
		b.WriteByte(']')
	}
	return b.String()
}

// A grant that covers too much would permit topics that it does not name.
func TestGlob_CoversIsSound(t *testing.T) {
	t.Parallel()
	rnd := seeded(t)
	names := randomTexts(rnd, 400, `aab]^-\*`, 5)
	for _, r := range []byte(globAlphabet) {
		names = append(names, string(r))
	}
	covered := 0
	for range 30_000 {
		pa, pb := randomText(rnd, globAlphabet, 5), randomText(rnd, globAlphabet, 5)
		a, b := event.CompileGlob(pa), event.CompileGlob(pb)
		if !a.Covers(b) {
			continue
		}
		covered++
		for _, name := range names {
			if b.Match(name) && !a.Match(name) {
				t.Fatalf("%q covers %q, but only the second matches %q", pa, pb, name)
			}
		}
	}
	if covered < 1000 {
		t.Errorf("got only %d covered pairs: the test needs more", covered)
	}
}

func FuzzGlob_CoversIsSound(f *testing.F) {
	f.Add("a.*", "a.b.*", "a.b.c")
	f.Add("[a-c]*", "b?", "bx")
	f.Add("*?*", "?", "x")
	f.Add(`[\]`, `\]`, "]")
	f.Fuzz(func(t *testing.T, a, b, name string) {
		if len(a) > 64 || len(b) > 64 {
			t.Skip()
		}
		ga, gb := event.CompileGlob(a), event.CompileGlob(b)
		if gb.Match(name) && ga.Covers(gb) && !ga.Match(name) {
			t.Errorf("%q covers %q, but only the second matches %q", a, b, name)
		}
	})
}

// An implementation with recursion for stars would not finish these in reasonable time.
func TestGlob_ManyStarsAreFast(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, pattern, text string }{
		{"one letter", strings.Repeat("a*", 30) + "b", strings.Repeat("a", 4096)},
		{"as long as names may be", strings.Repeat("*a", event.MaxNameBytes/2), strings.Repeat("a", event.MaxNameBytes/2-1)},
		{"any letter", strings.Repeat("*?", event.MaxNameBytes/2) + "b", strings.Repeat("a", event.MaxNameBytes)},
		{"sets", strings.Repeat("*[ab]", 200) + "c", strings.Repeat("ab", 2048)},
		{"a megabyte", "*aaab*aaab*c", strings.Repeat("a", 1<<20)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if event.CompileGlob(tt.pattern).Match(tt.text) {
				t.Error("got a match")
			}
		})
	}
	t.Run("covers", func(t *testing.T) {
		t.Parallel()
		a := event.CompileGlob(strings.Repeat("a*", 500) + "b")
		b := event.CompileGlob(strings.Repeat("a*", 500) + "c")
		if a.Covers(b) {
			t.Error("got Covers true")
		}
	})
}

func BenchmarkGlob_Match(b *testing.B) {
	for _, stars := range []int{1, 8} {
		b.Run(fmt.Sprintf("stars=%d/bytes=64", stars), func(b *testing.B) {
			g := event.CompileGlob(strings.Repeat("a*", stars) + "b")
			name := strings.Repeat("a", 63) + "b"
			b.ReportAllocs()
			for b.Loop() {
				g.Match(name)
			}
		})
	}
}
