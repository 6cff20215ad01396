package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"sluice/internal/audit"
	"sluice/internal/event"
)

// result is the result of a measurement.
type result struct {
	Targets             []string                `json:"targets"`
	Topics              []string                `json:"topics"`
	Subscribers         int                     `json:"subscribers"`
	Seconds             float64                 `json:"seconds"`   // time of publishing
	Published           int64                   `json:"published"` // messages
	Doubtful            int64                   `json:"doubtful"`  // of those, messages whose publish failed and that may have been accepted
	Deliveries          int64                   `json:"deliveries"`
	DeliveriesPerSecond float64                 `json:"deliveries_per_second"`
	Latency             latency                 `json:"latency_ms"`
	Reconnects          int64                   `json:"reconnects"`
	StormSeconds        float64                 `json:"storm_seconds,omitempty"` // time until all subscribers were connected again
	Audit               map[string]audit.Result `json:"audit"`                   // by kind of topic
	Behind              int                     `json:"behind"`                  // subscribers that did not receive the last message
	Kept                bool                    `json:"promise_kept"`

	kinds []event.Kind // of the topics, each once
}

func (b *bench) result(took time.Duration) result {
	r := result{
		Targets:     b.flags.Targets,
		Subscribers: len(b.subscribers),
		Seconds:     took.Seconds(),
		Latency:     b.latencies.result(),
		Audit:       make(map[string]audit.Result),
	}
	if b.storm != nil {
		r.StormSeconds = b.storm.took.Seconds()
	}
	for _, p := range b.publications {
		r.Topics = append(r.Topics, p.Topic.String())
		r.kinds = append(r.kinds, p.Topic.Kind)
		r.Published += p.Begun()
		r.Doubtful += p.Doubtful()
	}
	slices.Sort(r.kinds)
	r.kinds = slices.Compact(r.kinds)
	var all audit.Result
	for _, s := range b.subscribers {
		r.Reconnects += s.reconnects.Load()
		if len(s.recorder.Behind()) > 0 {
			r.Behind++
		}
		for topic, result := range s.recorder.Results() {
			all.Add(result)
			sum := r.Audit[topic.Kind.String()]
			sum.Add(result)
			r.Audit[topic.Kind.String()] = sum
		}
	}
	r.Deliveries = all.Received
	r.DeliveriesPerSecond = float64(r.Deliveries) / r.Seconds
	r.Kept = !all.Broken()
	return r
}

func (r result) printJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func (r result) printTable(w io.Writer) error {
	var out bytes.Buffer
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "subscribers\t%s on %s, %s\n", humanize.Comma(int64(r.Subscribers)),
		count(len(r.Targets), "target"), count(len(r.Topics), "topic"))
	fmt.Fprintf(t, "published\t%s in %.1f s", humanize.Comma(r.Published), r.Seconds)
	if r.Doubtful > 0 {
		fmt.Fprintf(t, ", %s of them failed and may have been accepted", humanize.Comma(r.Doubtful))
	}
	fmt.Fprintf(t, "\ndeliveries\t%s, %s/s\n", humanize.Comma(r.Deliveries), humanize.Comma(int64(r.DeliveriesPerSecond)))
	fmt.Fprintf(t, "latency\tp50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, max %.1f ms\n", r.Latency.P50, r.Latency.P99, r.Latency.P999, r.Latency.Max)
	fmt.Fprintf(t, "reconnects\t%s\n", humanize.Comma(r.Reconnects))
	if r.StormSeconds > 0 {
		fmt.Fprintf(t, "storm\tall were connected again after %.2f s\n", r.StormSeconds)
	}
	_ = t.Flush() // writes to memory do not fail
	fmt.Fprintln(&out)
	r.auditTable(&out)
	if r.Behind > 0 {
		fmt.Fprintf(&out, "\n%s did not receive the last message.\n", count(r.Behind, "subscriber"))
	}
	verdict := "The promise was kept: nothing lost, repeated or out of order, except where a gap said so."
	if !r.Kept {
		verdict = "The promise was BROKEN."
	}
	fmt.Fprintf(&out, "\n%s\n", verdict)
	_, err := out.WriteTo(w)
	return err
}

// auditTable prints the audit with a column for each kind of topic.
func (r result) auditTable(out *bytes.Buffer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "audit\t")
	for _, k := range r.kinds {
		fmt.Fprintf(t, "%s\t", k)
	}
	fmt.Fprintln(t)
	for _, row := range []struct {
		name  string
		value func(audit.Result) int64
	}{
		{"received", func(a audit.Result) int64 { return a.Received }},
		{"lost", func(a audit.Result) int64 { return a.Lost }},
		{"duplicate", func(a audit.Result) int64 { return a.Duplicates }},
		{"out of order", func(a audit.Result) int64 { return a.OutOfOrder }},
		{"under a wrong topic", func(a audit.Result) int64 { return a.Misplaced }},
		{"gaps announced", func(a audit.Result) int64 { return a.Gaps }},
		{"missing at gaps", func(a audit.Result) int64 { return a.Announced }},
		{"wrong gap counts", func(a audit.Result) int64 { return a.WrongCounts }},
		{"wrong final values", func(a audit.Result) int64 { return a.WrongFinal }},
	} {
		fmt.Fprintf(t, "%s\t", row.name)
		for _, k := range r.kinds {
			fmt.Fprintf(t, "%s\t", humanize.Comma(row.value(r.Audit[k.String()])))
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush()
}

func count(n int, what string) string {
	return humanize.Comma(int64(n)) + " " + english.PluralWord(n, what, "")
}
