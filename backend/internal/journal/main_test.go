package journal_test

import (
	"slices"
	"testing"

	"go.uber.org/goleak"

	"sluice/internal/journal"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func headOf(j *journal.Journal) (uint64, string) {
	v := j.View()
	defer v.Close()
	return v.Head(), v.CursorAt(v.Head())
}

func tailOf(j *journal.Journal) (uint64, string) {
	v := j.View()
	defer v.Close()
	return v.Tail()
}

func backOf(j *journal.Journal, n int) (uint64, string) {
	v := j.View()
	defer v.Close()
	pos, _ := v.Back(journal.First, n)
	return pos, v.CursorAt(pos)
}

func lostFrom(j *journal.Journal, pos uint64) int64 {
	v := j.View()
	defer v.Close()
	return v.Lost(pos)
}

func between(j *journal.Journal, from, to uint64) []journal.Frame {
	v := j.View()
	defer v.Close()
	return slices.Collect(v.Between(from, to))
}

// number returns the position of a pair.
func number(pos uint64, _ string) uint64 { return pos }
