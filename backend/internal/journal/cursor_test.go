package journal_test

import (
	"math"
	"strings"
	"testing"

	"sluice/internal/journal"
)

func TestParseCursor_ReadsWhatStringWrote(t *testing.T) {
	t.Parallel()
	for _, c := range []journal.Cursor{
		{},
		{Epoch: 1, Pos: 1},
		{Epoch: math.MaxUint64, Pos: math.MaxUint64},
		{Epoch: journal.NewEpoch(), Pos: 42},
		{Epoch: 7, Pos: 42, Mark: "abcdefghij"},
		{Epoch: 7, Pos: 42, Mark: "abcdefghij", Count: 3, Check: journal.Check("", []byte("x"))},
	} {
		if back, ok := journal.ParseCursor(c.String()); !ok || back != c {
			t.Errorf("%+v is %q, and that is %+v, %v", c, c, back, ok)
		}
	}
}

func TestParseCursor_RefusesOtherText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", ".", "1.", ".1", "1", "lost", "1763820000000-0", "AAAAAAAAAAA", "AAAAAAAAAAA.", ".AAAAAAAAAAA", "AAAAAAAAAAA.-1",
		"AAAAAAAAAAA.+1", "AAAAAAAAAAA.1.mark", "AAAAAAAAAAA.1..1.check", "AAAAAAAAAAA.1.mark.1", "AAAAAAAAAAA.1.mark.0.check",
		"AAAAAAAAAAA.1.mark.1.check.more", "AAAAAAAAAAA.1.m@rk.0", "AAAAAAAAAAA.1.ü.0", "AAAAAAAAAAA.1.ma=rk.0", " AAAAAAAAAAA.1",
		"AAAAAAAAAAA.01", "AAAAAAAAAAA.A", "AAAAAAAAAAB.1", "AAAAAAAAAAA.1.mark.00", "AAAAAAAAAAA.1 ", "AAAAAAAAAAA.zzzzzzzzzzzzzz", "AAAAAAAAAAAA.1", "AAAAAAAAAAA.1\x00", "AAAAAAAAAAA.1.\n.0",
	} {
		if c, ok := journal.ParseCursor(text); ok {
			t.Errorf("%q is read as %+v", text, c)
		}
	}
}

func TestNewEpoch_IsNeverTheSame(t *testing.T) {
	t.Parallel()
	seen := make(map[journal.Epoch]bool)
	for range 10_000 {
		e := journal.NewEpoch()
		if seen[e] {
			t.Fatalf("%d came twice", e)
		}
		seen[e] = true
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, seed := range []string{"AAAAAAAAAAA.1", "AAAAAAAAAAA.1.mark.0", "AAAAAAAAAAA.1.mark.1.abcd", "", ".", "lost", "a.b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := journal.ParseCursor(text)
		if !ok {
			return
		}
		if c.String() != text {
			t.Errorf("%q is %+v, whose text is %q", text, c, c)
		}
		for _, r := range c.String() {
			if r <= ' ' || r >= 0x7f || strings.ContainsRune("@,=%", r) {
				t.Errorf("%q has %q", c, r)
			}
		}
	})
}
