package audit

// Tally is the outcome of an audit, of one ledger or of many.
type Tally struct {
	Received  int64 `json:"received"`        // data events of the audit
	Gaps      int64 `json:"gaps"`            // that were announced
	Announced int64 `json:"missing_at_gaps"` // numbers missing where a gap was announced

	// What breaks the promise.
	Lost        int64 `json:"lost"`         // numbers missing where no gap was announced
	Duplicates  int64 `json:"duplicates"`   // numbers that came again
	OutOfOrder  int64 `json:"out_of_order"` // numbers that came behind a later one
	WrongCounts int64 `json:"wrong_counts"` // places at which gaps gave another number than was missing
	WrongFinal  int64 `json:"wrong_final"`  // keys whose last value was not the one written last
	Misplaced   int64 `json:"misplaced"`    // events that came under another topic than their own
}

// Add adds another tally.
func (t *Tally) Add(other Tally) {
	t.Received += other.Received
	t.Gaps += other.Gaps
	t.Announced += other.Announced
	t.Lost += other.Lost
	t.Duplicates += other.Duplicates
	t.OutOfOrder += other.OutOfOrder
	t.WrongCounts += other.WrongCounts
	t.WrongFinal += other.WrongFinal
	t.Misplaced += other.Misplaced
}

// Broken reports whether the promise was broken: every event in order and once, with
// nothing missing except at an announced gap.
func (t Tally) Broken() bool {
	return t.Lost+t.Duplicates+t.OutOfOrder+t.WrongCounts+t.WrongFinal+t.Misplaced != 0
}
