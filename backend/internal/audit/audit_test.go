package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/audit"
	"sluice/internal/event"
)

var (
	errUnavailable = errors.New("unavailable")

	channel = event.Literal(event.Channel, "c")
	stream  = event.Literal(event.Stream, "s")
	key     = event.Literal(event.Key, "k")
)

// testSubscriber is one subscriber of one topic and the messages that were published there.
type testSubscriber struct {
	t        *testing.T
	topic    event.Topic
	books    *audit.Recorder
	p        *audit.Publication
	payloads []string // payloads by number; the first element is unused
}

func newTestSubscriber(t *testing.T, topic event.Topic) *testSubscriber {
	p := audit.NewPublication("r", topic)
	return &testSubscriber{t: t, topic: topic, p: p, books: audit.NewRecorder(p), payloads: []string{""}}
}

func (a *testSubscriber) publish(n int, err error) {
	for range n {
		a.payloads = append(a.payloads, string(a.p.Next(0)))
		a.p.Done(err)
	}
}

// play runs a short script: "open", a number that arrives, "gap" or "gap=N", "deleted",
// "publish=N", "doubt=N" for failed publishes.
func (a *testSubscriber) play(script string) {
	a.t.Helper()
	for step := range strings.FieldsSeq(script) {
		name, value, _ := strings.Cut(step, "=")
		var n int
		_, _ = fmt.Sscan(value, &n)
		switch name {
		case "open":
			a.books.Record("1", "stream.open", `{}`)
		case "publish":
			a.publish(n, nil)
		case "doubt":
			a.publish(n, errUnavailable)
		case "gap":
			lost := "null"
			if value != "" {
				lost = value
			}
			a.books.Record("1", "stream.gap", fmt.Sprintf(`{"topic":%q,"reason":"x","lost":%s}`, a.topic, lost))
		case "deleted":
			a.books.Record("1", "key.deleted", "null")
		default:
			_, _ = fmt.Sscan(step, &n)
			if _, ok := a.books.Record("1", "", a.payloads[n]); !ok {
				a.t.Fatalf("message %d was not recognised", n)
			}
		}
	}
}

func TestBooks_Sequence(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, script string
		want         audit.Result
	}{
		{"all in order", "open publish=3 1 2 3", audit.Result{Received: 3}},
		{"one is missing", "open publish=4 1 2 4", audit.Result{Received: 3, Lost: 1}},
		{"three are missing at two positions", "open publish=6 1 4 6", audit.Result{Received: 3, Lost: 3}},
		{"the first is missing", "open publish=2 2", audit.Result{Received: 1, Lost: 1}},
		{"the last is missing", "open publish=2 1", audit.Result{Received: 1, Lost: 1}},
		{"no message arrives", "open publish=2", audit.Result{Lost: 2}},
		{"one is repeated", "open publish=3 1 2 2 3", audit.Result{Received: 4, Duplicates: 1}},
		{"an old one is repeated", "open publish=3 1 2 3 1", audit.Result{Received: 4, Duplicates: 1}},
		{"two are exchanged", "open publish=4 1 3 2 4", audit.Result{Received: 4, OutOfOrder: 1}},
		{"one arrives late, and then again", "open publish=4 1 3 4 2 2", audit.Result{Received: 5, OutOfOrder: 1, Duplicates: 1}},
		{"one of the missing arrives late", "open publish=5 1 5 3", audit.Result{Received: 3, Lost: 2, OutOfOrder: 1}},
		{"the first two are exchanged", "open publish=2 2 1", audit.Result{Received: 2, OutOfOrder: 1}},

		{"before it is open", "publish=5 open publish=1 6", audit.Result{Received: 1}},
		{"a little before it is open", "publish=5 open publish=1 4 5 6", audit.Result{Received: 3}},
		{"missing after a start before it is open", "publish=5 open publish=1 4 6", audit.Result{Received: 2, Lost: 1}},
		{"the first after it is open is missing", "publish=5 open publish=2 7", audit.Result{Received: 1, Lost: 1}},
		{"opened again, with nothing missing", "open publish=2 1 publish=1 open 2 3", audit.Result{Received: 3}},
		{"opened again, with something missing", "open publish=2 1 publish=1 open 3", audit.Result{Received: 2, Lost: 1}},

		{"missing at a gap without a count", "open publish=4 1 gap 4", audit.Result{Received: 2, Gaps: 1, Announced: 2}},
		{"missing at a gap with the count", "open publish=4 1 gap=2 4", audit.Result{Received: 2, Gaps: 1, Announced: 2}},
		{"missing at a gap with a count too low", "open publish=4 1 gap=1 4", audit.Result{Received: 2, Gaps: 1, Announced: 2, WrongCounts: 1}},
		{"missing at a gap with a count too high", "open publish=4 1 gap=3 4", audit.Result{Received: 2, Gaps: 1, Announced: 2, WrongCounts: 1}},
		{"a gap with a count where nothing is missing", "open publish=2 1 gap=1 2", audit.Result{Received: 2, Gaps: 1, WrongCounts: 1}},
		{"a gap without a count where nothing is missing", "open publish=2 1 gap 2", audit.Result{Received: 2, Gaps: 1}},
		{"counts of gaps in a row add up", "open publish=5 1 gap=1 gap=2 5", audit.Result{Received: 2, Gaps: 2, Announced: 3}},
		{"counts of gaps in a row do not add up", "open publish=5 1 gap=1 gap=1 5", audit.Result{Received: 2, Gaps: 2, Announced: 3, WrongCounts: 1}},
		{"one of the gaps in a row has no count", "open publish=5 1 gap=1 gap 5", audit.Result{Received: 2, Gaps: 2, Announced: 3}},
		{"missing after a gap, not at it", "open publish=5 1 gap 2 5", audit.Result{Received: 3, Gaps: 1, Lost: 2}},
		{"missing before a gap", "open publish=4 1 3 gap 4", audit.Result{Received: 3, Gaps: 1, Lost: 1}},
		{"missing at a gap before the first", "open publish=3 gap 3", audit.Result{Received: 1, Gaps: 1, Announced: 2}},
		{"missing at a gap with a count before the first", "open publish=3 gap=2 3", audit.Result{Received: 1, Gaps: 1, Announced: 2}},
		{"a count before the first that is too low", "open publish=3 gap=1 3", audit.Result{Received: 1, Gaps: 1, Announced: 2, WrongCounts: 1}},
		{"the last ones are missing at a gap", "open publish=3 1 gap", audit.Result{Received: 1, Gaps: 1, Announced: 2}},
		{"missing at a gap, then late", "open publish=4 1 gap 4 2", audit.Result{Received: 3, Gaps: 1, Announced: 1, OutOfOrder: 1}},

		{"doubtful ones do not arrive", "open publish=1 doubt=2 publish=1 1 4", audit.Result{Received: 2}},
		{"doubtful ones arrive", "open publish=1 doubt=2 publish=1 1 2 3 4", audit.Result{Received: 4}},
		{"a doubtful one arrives late", "open publish=1 doubt=2 publish=1 1 4 3", audit.Result{Received: 3}},
		{"a doubtful one arrives twice", "open publish=1 doubt=1 publish=1 1 2 2 3", audit.Result{Received: 4, Duplicates: 1}},
		{"missing between doubtful ones", "open publish=1 doubt=1 publish=1 doubt=1 publish=1 1 5", audit.Result{Received: 2, Lost: 1}},
		{"a count without doubtful ones", "open publish=2 doubt=1 publish=1 1 gap=1 4", audit.Result{Received: 2, Gaps: 1, Announced: 1}},
		{"a count with doubtful ones", "open publish=2 doubt=1 publish=1 1 gap=2 4", audit.Result{Received: 2, Gaps: 1, Announced: 1}},
		{"a count too high even with doubtful ones", "open publish=2 doubt=1 publish=1 1 gap=3 4", audit.Result{Received: 2, Gaps: 1, Announced: 1, WrongCounts: 1}},
		{"the last ones are doubtful", "open publish=1 doubt=2 1", audit.Result{Received: 1}},
	} {
		for _, topic := range []event.Topic{channel, stream} {
			t.Run(topic.Kind.String()+", "+test.name, func(t *testing.T) {
				t.Parallel()
				a := newTestSubscriber(t, topic)
				a.play(test.script)
				check(t, a.books, topic, test.want)
			})
		}
	}
}

func TestBooks_LatestValue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, script string
		want         audit.Result
	}{
		{"every value", "open publish=3 1 2 3", audit.Result{Received: 3}},
		{"only the last value", "open publish=3 3", audit.Result{Received: 1}},
		{"values are skipped", "open publish=9 1 4 9", audit.Result{Received: 3}},
		{"it goes back", "open publish=3 1 2 1 3", audit.Result{Received: 4, OutOfOrder: 1}},
		{"it is shown again", "open publish=2 1 1 2", audit.Result{Received: 3, Duplicates: 1}},
		{"it is shown again on the next connection", "open publish=2 1 2 open 2", audit.Result{Received: 3, Duplicates: 1}},
		{"it is shown again after a gap", "open publish=2 1 2 gap 2", audit.Result{Received: 3, Gaps: 1}},
		{"it is deleted and set again", "open publish=2 1 2 deleted 2", audit.Result{Received: 3}},
		{"it ends on an older value", "open publish=3 1 2", audit.Result{Received: 2, WrongFinal: 1}},
		{"it goes back at the end", "open publish=3 3 2", audit.Result{Received: 2, OutOfOrder: 1, WrongFinal: 1}},
		{"it ends deleted", "open publish=2 1 2 deleted", audit.Result{Received: 2, WrongFinal: 1}},
		{"no value arrives", "open publish=1", audit.Result{WrongFinal: 1}},
		{"nothing was written", "open", audit.Result{}},
		{"a doubtful value arrives late", "open publish=1 doubt=1 publish=1 3 2 3", audit.Result{Received: 3, OutOfOrder: 0, Duplicates: 1}},
		{"a doubtful value arrives late and is overwritten", "open publish=1 doubt=1 publish=2 3 2 4", audit.Result{Received: 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newTestSubscriber(t, key)
			a.play(test.script)
			check(t, a.books, key, test.want)
		})
	}
}

func check(t *testing.T, b *audit.Recorder, topic event.Topic, want audit.Result) {
	t.Helper()
	for range 2 { // reading the tally does not change it
		if got := b.Results()[topic]; got != want {
			t.Errorf("got tally\n%+v, want\n%+v", got, want)
		}
	}
}

func TestTally_BrokenByEachField(t *testing.T) {
	t.Parallel()
	harmless := audit.Result{Received: 5, Gaps: 2, Announced: 3}
	if harmless.Broken() {
		t.Error("got Broken true for announced gaps")
	}
	for _, fault := range []audit.Result{{Lost: 1}, {Duplicates: 1}, {OutOfOrder: 1}, {WrongCounts: 1}, {WrongFinal: 1}, {Misplaced: 1}} {
		sum := harmless
		sum.Add(fault)
		if !sum.Broken() {
			t.Errorf("%+v: got Broken false", sum)
		}
	}
}

func TestTally_AddsEveryField(t *testing.T) {
	t.Parallel()
	sum := audit.Result{Received: 1, Gaps: 2, Announced: 3, Lost: 4, Duplicates: 5, OutOfOrder: 6, WrongCounts: 7, WrongFinal: 8, Misplaced: 9}
	sum.Add(sum)
	if want := (audit.Result{Received: 2, Gaps: 4, Announced: 6, Lost: 8, Duplicates: 10, OutOfOrder: 12, WrongCounts: 14, WrongFinal: 16, Misplaced: 18}); sum != want {
		t.Errorf("got sum %+v", sum)
	}
}

func TestBooks_IDsDistinguishTopics(t *testing.T) {
	t.Parallel()
	a, b := audit.NewPublication("r", channel), audit.NewPublication("r", stream)
	books := audit.NewRecorder(a, b)
	books.Record("channel:c@1", "stream.open", `{}`)
	for _, p := range []*audit.Publication{a, b, b} {
		payload := string(p.Next(0))
		p.Done(nil)
		id := strings.TrimSuffix(p.Topic.String(), "@") + "@1"
		if m, ok := books.Record(id, "", payload); !ok || m.Topic != p.Topic.String() {
			t.Fatalf("%s with id %s: got %+v, %v", payload, id, m, ok)
		}
	}
	if len(books.Behind()) > 0 {
		t.Error("got Complete false after all messages")
	}
	check(t, books, channel, audit.Result{Received: 1})
	check(t, books, stream, audit.Result{Received: 2})

	payload := string(a.Next(0))
	a.Done(nil)
	if got := books.Behind(); len(got) != 1 || got[0] != channel {
		t.Errorf("got lagging topics %v", got)
	}
	if _, ok := books.Record("stream:s@2", "", payload); ok {
		t.Error("an event with the id of another topic is accepted")
	}
	check(t, books, stream, audit.Result{Received: 2, Misplaced: 1})
	check(t, books, channel, audit.Result{Received: 1, Lost: 1})
}

func TestBooks_IgnoreOtherMessages(t *testing.T) {
	t.Parallel()
	mine, other := audit.NewPublication("mine", channel), audit.NewPublication("other", channel)
	books := audit.NewRecorder(mine)
	for _, e := range [][2]string{
		{"", string(other.Next(0))}, {"", "text"}, {"", `{"n":1}`}, {"", ""}, {"mine", "1"},
		{"stream.ping", `{"time":"2026-01-01T00:00:00Z"}`}, {"stream.close", `{"reason":"draining"}`},
		{"stream.gap", `{"topic":"channel:x","lost":3}`}, {"stream.gap", `?`},
	} {
		if m, ok := books.Record("1", e[0], e[1]); ok {
			t.Errorf("%q: got %+v, want no match", e, m)
		}
	}
	check(t, books, channel, audit.Result{})
}

func TestPublication_PayloadsAreNumberedAndPadded(t *testing.T) {
	t.Parallel()
	p := audit.NewPublication("r", channel)
	for n, size := range []int{0, 200, 4096} {
		payload := p.Next(size)
		p.Done(nil)
		var m audit.Message
		if err := json.Unmarshal(payload, &m); err != nil {
			t.Fatal(err)
		}
		if m.N != int64(n+1) || m.Run != "r" || m.Topic != "channel:c" || m.Time == 0 {
			t.Errorf("message %d: got %+v", n+1, m)
		}
		if size > 0 && len(payload) != size {
			t.Errorf("got a payload of %d bytes, want %d", len(payload), size)
		}
	}
}

func TestPublication_DoneCoversTransaction(t *testing.T) {
	t.Parallel()
	p := audit.NewPublication("r", channel)
	for range 3 {
		p.Next(0)
	}
	p.Done(nil)
	if p.Confirmed() != 3 || p.Doubtful() != 0 {
		t.Errorf("got %d confirmed and %d doubtful after a transaction of 3", p.Confirmed(), p.Doubtful())
	}
	for range 4 {
		p.Next(0)
	}
	p.Done(errUnavailable)
	if p.Confirmed() != 3 || p.Doubtful() != 4 {
		t.Errorf("got %d confirmed and %d doubtful after a failed transaction of 4", p.Confirmed(), p.Doubtful())
	}
}

func TestPublication_SteadilyKeepsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := audit.NewPublication("r", channel)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second-time.Nanosecond)
		defer cancel()
		p.PublishAtRate(ctx, 50, 0, func(context.Context, event.Topic, []byte) error {
			time.Sleep(time.Millisecond)
			return nil
		})
		if got := p.Confirmed(); got != 500 {
			t.Errorf("got %d messages in 10 s at 50 per second", got)
		}
	})
}

func TestPublication_SteadilyContinuesAfterFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := audit.NewPublication("r", channel)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var failures int64
		p.PublishAtRate(ctx, 100, 0, func(context.Context, event.Topic, []byte) error {
			if s := time.Since(start); s > 2*time.Second && s < 7*time.Second {
				failures++
				return errUnavailable
			}
			return nil
		})
		if p.Doubtful() != failures || failures < 10 || failures > 60 {
			t.Errorf("got %d failures, %d doubtful", failures, p.Doubtful())
		}
		// Messages that could not be published in time are not published later in a burst.
		if got := p.Confirmed() - failures; got < 450 || got > 650 {
			t.Errorf("got %d messages", got)
		}
	})
}

func TestPublication_ConcludeEndsOnConfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := audit.NewPublication("r", channel)
		answers := []error{nil, errUnavailable, errUnavailable, nil, errUnavailable, nil, nil}
		if err := p.Conclude(t.Context(), 0, func(context.Context, event.Topic, []byte) error {
			err := answers[0]
			answers = answers[1:]
			return err
		}); err != nil || len(answers) > 0 || p.Confirmed() != 7 || p.Doubtful() != 3 {
			t.Errorf("got error %v, %d remaining results, %d confirmed and %d doubtful", err, len(answers), p.Confirmed(), p.Doubtful())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Conclude(ctx, 0, func(context.Context, event.Topic, []byte) error { return errUnavailable })
		if !errors.Is(err, errUnavailable) {
			t.Errorf("got error %v, want that of the publish", err)
		}
	})
}
