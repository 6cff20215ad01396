package audit

// Result is the result of an audit, of one or several topics and subscribers.
type Result struct {
	Received  int64 `json:"received"`        // messages of the audit
	Gaps      int64 `json:"gaps"`            // announced gaps
	Announced int64 `json:"missing_at_gaps"` // numbers missing at an announced gap

	// Each of these breaks the delivery guarantee.
	Lost        int64 `json:"lost"`         // numbers missing without an announced gap
	Duplicates  int64 `json:"duplicates"`   // numbers received more than once
	OutOfOrder  int64 `json:"out_of_order"` // numbers received after a higher number
	WrongCounts int64 `json:"wrong_counts"` // gaps whose count differs from the numbers missing there
	WrongFinal  int64 `json:"wrong_final"`  // keys whose last value is not the last one written
	Misplaced   int64 `json:"misplaced"`    // messages received under the wrong topic
}

// Add adds the counts of another result.
func (r *Result) Add(other Result) {
	r.Received += other.Received
	r.Gaps += other.Gaps
	r.Announced += other.Announced
	r.Lost += other.Lost
	r.Duplicates += other.Duplicates
	r.OutOfOrder += other.OutOfOrder
	r.WrongCounts += other.WrongCounts
	r.WrongFinal += other.WrongFinal
	r.Misplaced += other.Misplaced
}

// addMissing adds n missing numbers. announced says whether they are at an announced gap.
func (r *Result) addMissing(n int64, announced bool) {
	if announced {
		r.Announced += n
	} else {
		r.Lost += n
	}
}

// Broken reports whether the delivery guarantee was broken: each event once and in order, and
// none missing except at an announced gap.
func (r Result) Broken() bool {
	return r.Lost+r.Duplicates+r.OutOfOrder+r.WrongCounts+r.WrongFinal+r.Misplaced != 0
}
