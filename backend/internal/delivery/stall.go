package delivery

import "time"

// stallAfter is how long a write may take before its client counts as one that takes
// nothing for now.
const stallAfter = time.Second

// stallWriter counts its client as stalled while a write takes long.
type stallWriter struct {
	writer
	metrics Metrics
	alarm   *time.Timer
}

func (w *stallWriter) send(b []byte) error {
	if w.alarm == nil {
		w.alarm = time.AfterFunc(stallAfter, func() { w.metrics.Stalled(1) })
	} else {
		w.alarm.Reset(stallAfter)
	}
	err := w.writer.send(b)
	if !w.alarm.Stop() { // it is counted, or just about to be
		w.metrics.Stalled(-1)
	}
	return err
}
