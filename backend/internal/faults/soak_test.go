//go:build soak

package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/internal/gatewaytest"
	"sluice/internal/proctest"
	"sluice/internal/redistest"
)

const (
	// usualSoak is how long it lasts if SOAK does not say.
	usualSoak = time.Hour
	// faultEvery is the time between two faults; a shorter soak has them faster, so that it
	// has all of them.
	faultEvery = time.Minute
	leastRound = 2 // times that each fault comes

	standstill = 5 * time.Second

	// What may be more in the last third of the soak than in the first: a part of the
	// memory, since what a fault needs for a moment is not given back at once, and what the
	// runtime needs for itself.
	growthPercent   = 25
	memorySlack     = 16 << 20 // bytes
	descriptorSlack = 32
)

// TestSoak runs for long: bench loads and audits two gateways while something breaks
// every minute. The second gateway lives through all of it, and must not grow.
func TestSoak(t *testing.T) {
	length := usualSoak
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil || length < time.Minute {
			t.Fatalf("SOAK=%s is not a duration of at least a minute, such as 1h", text)
		}
	}
	redis := redistest.Start(t, durable...)
	gateways := []*gatewaytest.Gateway{startGateway(t, redis.URL()), startGateway(t, redis.URL())}
	killed, survivor := gateways[0], gateways[1]
	do := func(args ...any) func() { return func() { redis.Do(args...) } }
	stop := func(g *gatewaytest.Gateway) func() {
		return func() {
			g.Signal(proctest.Freeze)
			time.Sleep(standstill)
			g.Signal(proctest.Thaw)
		}
	}
	faults := []struct {
		name   string
		inject func()
	}{
		{"redis is killed and comes back", func() { redis.Kill(); time.Sleep(time.Second); redis.Restart() }},
		{"pub/sub connections are killed", do("CLIENT", "KILL", "TYPE", "pubsub")},
		{"gateway 0 is killed", func() { killed.Kill(); killed.Restart() }},
		{"redis stands still", func() { redis.Pause(); time.Sleep(standstill); redis.Continue() }},
		{"gateway 0 drains", func() { killed.Drain(); killed.Restart() }},
		{"all other connections are killed", do("CLIENT", "KILL", "TYPE", "normal")},
		{"gateway 1 stands still", stop(survivor)},
	}
	every := min(faultEvery, length/time.Duration(leastRound*len(faults)+1))

	load := startBench(t, length, redis, gateways)
	var samples []usage
	for i, end := 0, time.Now().Add(length-every); time.Now().Before(end); i++ {
		select {
		case <-time.After(every):
		case <-load.Exited:
			t.Fatalf("bench ended early:\n%s", load.output.String())
		}
		for n, g := range gateways {
			t.Logf("gateway %d: %s", n, usageOf(t, g))
		}
		samples = append(samples, usageOf(t, survivor))
		f := faults[i%len(faults)]
		t.Logf("%s after the start: %s", (time.Duration(i+1) * every).Round(time.Second), f.name)
		f.inject()
	}
	<-load.Exited
	t.Logf("bench says:\n%s", load.output.String())
	if code := load.Status(); code != 0 {
		t.Errorf("bench ended with status %d", code)
	}
	samples = append(samples, usageOf(t, survivor))
	t.Logf("gateway 1 in the end: %s", samples[len(samples)-1])
	checkGrowth(t, samples)
}

// bench is cmd/bench as a process.
type bench struct {
	*proctest.Process
	output proctest.Output
}

// startBench has subscribers that stay, leave and read slowly audit the gateways.
func startBench(t *testing.T, length time.Duration, redis *redistest.Server, gateways []*gatewaytest.Gateway) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", path, "sluice/cmd/bench").CombinedOutput(); err != nil {
		t.Fatalf("building bench: %v\n%s", err, out)
	}
	args := []string{
		"--redis-url", redis.URL(), "--duration", length.String(), "--patience", "1m",
		"--subscribers", "300", "--slow", "10", "--churn", "20s", "--rate", "50",
	}
	for _, g := range gateways {
		args = append(args, "--target", g.URL())
	}
	b := new(bench)
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &b.output, &b.output
	b.Process = proctest.Start(t, cmd)
	return b
}

// usage is what a process has of the system.
type usage struct {
	memory      int // resident, in bytes
	connections int
	descriptors int // besides those of connections
}

func (u usage) String() string {
	return fmt.Sprintf("%d MiB, %d connections, %d other descriptors", u.memory>>20, u.connections, u.descriptors)
}

func usageOf(t *testing.T, g *gatewaytest.Gateway) usage {
	t.Helper()
	statm, err := os.ReadFile(g.Proc("statm"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	u := usage{memory: pages * os.Getpagesize(), connections: g.Connections()}
	u.descriptors = g.Descriptors() - u.connections
	return u
}

// checkGrowth compares the most of the last third with the most of the first.
func checkGrowth(t *testing.T, samples []usage) {
	t.Helper()
	third := max(len(samples)/3, 1)
	first, last := samples[:third], samples[len(samples)-third:]
	most := func(list []usage, of func(usage) int) int {
		return of(slices.MaxFunc(list, func(a, b usage) int { return of(a) - of(b) }))
	}
	memory := func(u usage) int { return u.memory }
	if before, after := most(first, memory), most(last, memory); after > before+before*growthPercent/100+memorySlack {
		t.Errorf("the memory has grown from %d MiB to %d MiB", before>>20, after>>20)
	}
	descriptors := func(u usage) int { return u.descriptors }
	if before, after := most(first, descriptors), most(last, descriptors); after > before+descriptorSlack {
		t.Errorf("the descriptors besides those of connections have grown from %d to %d", before, after)
	}
}
