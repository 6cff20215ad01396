package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// These tests are not parallel because they need all cores.

// runMeasurement runs a command that starts its own servers, and returns its output.
func runMeasurement(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if err := run(t.Context(), args, &out, &errs); err != nil {
		t.Fatalf("%q: %v\n%s%s", args, err, out.String(), errs.String())
	}
	return out.String()
}

func TestCompare_MeasuresServers(t *testing.T) {
	gin := filepath.Join(t.TempDir(), "gin")
	if err := build(".", gin, "./servers/gin"); err != nil {
		t.Fatal(err)
	}
	out := runMeasurement(t, "compare", "--no-pin", "--rounds", "1", "--settle", "0s", "--time", "300ms",
		"--loads", "5x20,20x5", "sluice="+gateway, "baseline="+gin)
	for _, want := range []string{"5 × 20/s", "20 × 5/s", "sluice", "baseline", "for each delivery"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "failed") {
		t.Errorf("a server failed under a small load:\n%s", out)
	}
}

func TestCompare_FindsPeak(t *testing.T) {
	out := runMeasurement(t, "compare", "--no-pin", "--rounds", "1", "--settle", "0s", "--time", "300ms", "--step", "100ms",
		"--large", "20", "--loads", "20x5", "sluice="+gateway)
	if _, peak, _ := strings.Cut(out, "maximum deliveries"); !strings.Contains(out, "idle connection") || !strings.Contains(peak, "×1.00") {
		t.Errorf("got no peak:\n%s", out)
	}
}

func TestTopics_Measures(t *testing.T) {
	out := runMeasurement(t, "topics", "--no-pin", "--rounds", "1", "--settle", "0s", "--time", "500ms", "--topics", "50", "--rate", "500", gateway)
	for _, want := range []string{"50 subscribers, 500 deliveries a second", "one topic for all", "a topic for each"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

func TestCrowd_DeliversToAll(t *testing.T) {
	out := runMeasurement(t, "crowd", "--subscribers", "101", "--servers", "2", "--heartbeat", "200ms", "--time", "1s", "--settle", "0s", gateway)
	for _, want := range []string{"101, opened in", "101 received it", "0 lost", "heartbeats"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "heartbeats        0 in") {
		t.Errorf("got no heartbeat:\n%s", out)
	}
}

func TestRuns_EveryViewerReceivesAll(t *testing.T) {
	out := runMeasurement(t, "runs", "--gateways", "2", "--runs", "2", "--tokens", "20", "--rate", "50", "--viewers", "5", "--time", "100ms", gateway)
	fields := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"viewers of each run 2 5", " runs 2 2 ", " viewers 4 10 ", "tokens delivered 80 200 ", "Redis commands per run", "violations 0 0"} {
		if !strings.Contains(fields, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

func TestMeasuring_Errors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"a server without a name", []string{"compare", gateway}, "NAME=COMMAND"},
		{"no server", []string{"compare"}, "contenders"},
		{"a load without a rate", []string{"compare", "--loads", "10", "a=b"}, "SUBSCRIBERSxRATE"},
		{"no rounds", []string{"compare", "--rounds", "0", "a=b"}, "--rounds"},
		{"a server that exits", []string{"compare", "--no-pin", "a=echo no luck"}, "no luck"},
		{"no topics", []string{"topics", "--topics", "0", gateway}, "--topics"},
		{"no Redis there", []string{"topics", "--no-pin", "--redis-url", "http://x", gateway}, "--redis-url"},
		{"fewer viewers than gateways", []string{"runs", "--viewers", "1", gateway}, "--viewers"},
		{"fewer subscribers than servers", []string{"crowd", "--subscribers", "1", gateway}, "--servers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			err := run(t.Context(), test.args, &out, &errs)
			if err == nil || !strings.Contains(err.Error()+errs.String(), test.want) {
				t.Errorf("got the error %v and %q, want %q", err, errs.String(), test.want)
			}
		})
	}
}
