package delivery

import (
	"testing"
	"time"
)

func TestProgress_StallRequiresUnreadData(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	type look struct {
		at   int // seconds
		sent uint32
		held int
		want bool
	}
	for name, looks := range map[string][]look{
		"nothing is sent":                   {{0, 0, 0, false}, {60, 0, 0, false}},
		"all is read immediately":           {{0, 5, 0, false}, {60, 9, 0, false}},
		"nothing is read":                   {{0, 5, 5, false}, {9, 5, 5, false}, {10, 5, 5, true}},
		"nothing is read, and more is sent": {{0, 5, 5, false}, {9, 7, 7, false}, {10, 9, 9, true}},
		"a little is read now and then":     {{0, 50, 50, false}, {9, 50, 49, false}, {18, 50, 48, false}, {28, 50, 48, true}},
		"as much is read as sent":           {{0, 5, 5, false}, {10, 10, 5, false}, {20, 15, 5, false}},
		"idle for long before":              {{0, 5, 0, false}, {60, 9, 4, false}, {69, 9, 4, false}, {70, 9, 4, true}},
		"earlier writes count too":          {{0, 0, 5, false}, {10, 0, 5, true}},
	} {
		var p progress
		for _, l := range looks {
			p.sent = l.sent
			if got := p.stalled(l.held, start.Add(time.Duration(l.at)*time.Second), timeout); got != l.want {
				t.Errorf("%s: after %d s: got stalled %v", name, l.at, got)
			}
		}
	}
}
