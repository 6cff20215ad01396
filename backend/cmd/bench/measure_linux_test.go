package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/test/gatewaytest"
)

// These tests are not parallel: they take the machine, and others here expect to have
// some of it.

// measured runs a command of the program that starts its own servers, and returns what
// it printed.
func measured(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if status := run(t.Context(), args, &out, &errs); status != exitKept {
		t.Fatalf("%q: status %d\n%s%s", args, status, out.String(), errs.String())
	}
	return out.String()
}

func TestCompare_MeasuresTheServersThatItStarts(t *testing.T) {
	gin := filepath.Join(t.TempDir(), "gin")
	if out, err := exec.Command("go", "build", "-o", gin, "./testdata/gin").CombinedOutput(); err != nil {
		t.Fatalf("building the baseline: %v\n%s", err, out)
	}
	out := measured(t, "compare", "--no-pin", "--rounds", "1", "--settle", "0s", "--time", "300ms",
		"--loads", "5x20,20x5", "sluice="+gatewaytest.Program(), "baseline="+gin)
	for _, want := range []string{"5 × 20/s", "20 × 5/s", "sluice", "baseline", "for each delivery"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "failed") {
		t.Errorf("a server did not stand a small load:\n%s", out)
	}
}

func TestCompare_FindsThePeak(t *testing.T) {
	out := measured(t, "compare", "--no-pin", "--rounds", "1", "--settle", "0s", "--time", "300ms", "--step", "100ms",
		"--large", "20", "--loads", "20x5", "sluice="+gatewaytest.Program())
	if _, peak, _ := strings.Cut(out, "most deliveries"); !strings.Contains(out, "idle connection") || !strings.Contains(peak, "×1.00") {
		t.Errorf("no peak was found:\n%s", out)
	}
}

func TestTopics_MeasuresOneTopicAndMany(t *testing.T) {
	out := measured(t, "topics", "--no-pin", "--rounds", "1", "--settle", "0s", "--time", "500ms", "--topics", "50", "--rate", "500", gatewaytest.Program())
	for _, want := range []string{"50 subscribers, 500 deliveries a second", "one topic for all", "a topic for each"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestCrowd_DeliversOneMessageToAll(t *testing.T) {
	out := measured(t, "crowd", "--subscribers", "101", "--servers", "2", "--heartbeat", "200ms", "--time", "1s", "--settle", "0s", gatewaytest.Program())
	for _, want := range []string{"101, opened in", "101 had it", "0 lost", "heartbeats"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "heartbeats        0 in") {
		t.Errorf("no heartbeat was seen:\n%s", out)
	}
}

func TestMeasuring_CouldNotRun(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"a server without a name", []string{"compare", gatewaytest.Program()}, "NAME=COMMAND"},
		{"no server", []string{"compare"}, "contenders"},
		{"a load without a rate", []string{"compare", "--loads", "10", "a=b"}, "SUBSCRIBERSxRATE"},
		{"no rounds", []string{"compare", "--rounds", "0", "a=b"}, "--rounds"},
		{"a server that ends by itself", []string{"compare", "--no-pin", "a=echo no luck"}, "no luck"},
		{"no topics", []string{"topics", "--topics", "0", gatewaytest.Program()}, "--topics"},
		{"no Redis there", []string{"topics", "--no-pin", "--redis-url", "http://x", gatewaytest.Program()}, "--redis-url"},
		{"fewer subscribers than servers", []string{"crowd", "--subscribers", "1", gatewaytest.Program()}, "--servers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			status := run(t.Context(), test.args, &out, &errs)
			if status != exitError || !strings.Contains(errs.String(), test.want) {
				t.Errorf("status %d with %q, want %q", status, errs.String(), test.want)
			}
		})
	}
}
