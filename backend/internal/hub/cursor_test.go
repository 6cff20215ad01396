package hub

import (
	"math"
	"strings"
	"testing"

	"sluice/internal/source/marker"
)

func TestParseCursor_RoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []journalCursor{
		{},
		{epoch: 1, pos: 1},
		{epoch: math.MaxUint64, pos: math.MaxUint64},
		{epoch: newEpoch(), pos: 42},
		{epoch: 7, pos: 42, marker: marker.Marker{Node: "abcdefgh", Sequence: 5}},
		{epoch: 7, pos: 42, marker: marker.Marker{Node: "abcdefgh", Sequence: 5}, count: 3, check: checkOf("", []byte("x"))},
	} {
		if back, ok := parseJournalCursor(c.String()); !ok || back != c {
			t.Errorf("%+v: got text %q, parsed again as %+v, %v", c, c, back, ok)
		}
	}
}

func TestParseCursor_RejectsOtherText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", ".", "1.", ".1", "1", "lost", "1763820000000-0", "AAAAAAAAAAA", "AAAAAAAAAAA.", ".AAAAAAAAAAA", "AAAAAAAAAAA.-1",
		"AAAAAAAAAAA.+1", "AAAAAAAAAAA.1.mark", "AAAAAAAAAAA.1..1.check", "AAAAAAAAAAA.1.mark.1", "AAAAAAAAAAA.1.mark.0.check",
		"AAAAAAAAAAA.1.mark.1.check.more", "AAAAAAAAAAA.1.m@rk.0", "AAAAAAAAAAA.1.ü.0", "AAAAAAAAAAA.1.ma=rk.0", " AAAAAAAAAAA.1",
		"AAAAAAAAAAA.01", "AAAAAAAAAAA.A", "AAAAAAAAAAB.1", "AAAAAAAAAAA.1.mark.00", "AAAAAAAAAAA.1 ", "AAAAAAAAAAA.zzzzzzzzzzzzzz", "AAAAAAAAAAAA.1", "AAAAAAAAAAA.1\x00", "AAAAAAAAAAA.1.\n.0",
	} {
		if c, ok := parseJournalCursor(text); ok {
			t.Errorf("parseCursor(%q): got %+v, want an error", text, c)
		}
	}
}

func TestNewEpoch_IsUnique(t *testing.T) {
	t.Parallel()
	seen := make(map[epoch]bool)
	for range 10_000 {
		e := newEpoch()
		if seen[e] {
			t.Fatalf("got epoch %d twice", e)
		}
		seen[e] = true
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, seed := range []string{"AAAAAAAAAAA.1", "AAAAAAAAAAA.1.mark.0", "AAAAAAAAAAA.1.mark.1.abcd", "", ".", "lost", "a.b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := parseJournalCursor(text)
		if !ok {
			return
		}
		if c.String() != text {
			t.Errorf("parseCursor(%q): got %+v, whose text is %q", text, c, c)
		}
		for _, r := range c.String() {
			if r <= ' ' || r >= 0x7f || strings.ContainsRune("@,=%", r) {
				t.Errorf("cursor %q contains %q", c, r)
			}
		}
	})
}
