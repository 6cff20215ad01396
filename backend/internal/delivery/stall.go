package delivery

import "time"

// stallAfter is the duration of a write after which its client counts as stalled.
const stallAfter = time.Second

// stallWriter counts its client as stalled while a write takes longer than stallAfter.
type stallWriter struct {
	writer
	metrics Metrics
	timer   *time.Timer
}

func (w *stallWriter) send(b []byte) error {
	if w.timer == nil {
		w.timer = time.AfterFunc(stallAfter, func() { w.metrics.Stalled(1) })
	} else {
		w.timer.Reset(stallAfter)
	}
	err := w.writer.send(b)
	if !w.timer.Stop() { // Stalled(1) was called, or will be
		w.metrics.Stalled(-1)
	}
	return err
}
