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

	"sluice/internal/test/gatewaytest"
	"sluice/internal/test/proctest"
)

const (
	// usualSoak is the duration without SOAK.
	usualSoak = time.Hour
	// faultEvery is the time between two faults. A shorter soak has a shorter time, so it has all
	// faults.
	faultEvery = time.Minute
	leastRound = 2 // times that each fault happens

	standstill = 5 * time.Second

	// Allowed growth between the first and the last third of the soak: a fraction of the memory,
	// because a fault's temporary memory is not returned immediately, and a constant for the
	// runtime.
	growthPercent   = 25
	memorySlack     = 16 << 20 // bytes
	descriptorSlack = 32
)

// TestSoak runs bench against two gateways for a long time, with a fault every minute. Faults of
// single topics affect the topics of the rig, whose subscribers are audited too. The second gateway
// is never restarted and must not grow.
func TestSoak(t *testing.T) {
	length := usualSoak
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil || length < time.Minute {
			t.Fatalf("SOAK=%s is not a duration of at least a minute, such as 1h", text)
		}
	}
	r := newRig(t, setup{redis: durable, lazy: true})
	killed, survivor := r.gateways[0], r.gateways[1]
	stop := func(g *gatewaytest.Gateway) func(*rig) {
		return func(*rig) {
			g.Signal(proctest.Freeze)
			time.Sleep(standstill)
			g.Signal(proctest.Thaw)
		}
	}
	lasting := slices.DeleteFunc(slices.Clone(topicFaults), func(f topicFault) bool { return f.prompt })
	faults := interleave(lasting, []topicFault{
		{name: "redis is killed and restarts", inject: func(r *rig) { r.redis.Kill(); time.Sleep(time.Second); r.redis.Restart() }},
		{name: "the topics of bench are deleted", inject: func(r *rig) { r.do("DEL", "bench", "bench:value") }},
		{name: "gateway 0 is killed", inject: func(*rig) { killed.Kill(); killed.Restart() }},
		{name: "redis is frozen", inject: func(r *rig) { r.redis.Pause(); time.Sleep(standstill); r.redis.Continue() }},
		{name: "gateway 0 drains", inject: func(*rig) { killed.Drain(); killed.Restart() }},
		{name: "gateway 1 is frozen", inject: stop(survivor)},
		{name: "gateway 0 reads too slowly for redis", inject: func(r *rig) {
			overflow(r)
			r.do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60")
		}},
	})
	every := min(faultEvery, length/time.Duration(leastRound*len(faults)+1))

	load := startBench(t, length, r)
	var samples []usage
	for i, end := 0, time.Now().Add(length-every); time.Now().Before(end); i++ {
		select {
		case <-time.After(every):
		case <-load.Exited:
			t.Fatalf("bench ended early:\n%s", load.output.String())
		}
		for n, g := range r.gateways {
			t.Logf("gateway %d: %s", n, usageOf(t, g))
		}
		samples = append(samples, usageOf(t, survivor))
		f := faults[i%len(faults)]
		t.Logf("%s: %s", time.Now().Format(time.TimeOnly), f.name)
		r.gapLog.begin(f.name)
		f.inject(r)
		r.settle()
	}
	<-load.Exited
	t.Logf("output of bench:\n%s", load.output.String())
	if code := load.Status(); code != 0 {
		t.Errorf("bench ended with status %d", code)
	}
	r.finish()
	r.report()
	samples = append(samples, usageOf(t, survivor))
	t.Logf("gateway 1 at the end: %s", samples[len(samples)-1])
	checkGrowth(t, samples)
}

// interleave merges two lists of faults. It distributes the shorter list evenly.
func interleave(long, short []topicFault) []topicFault {
	var all []topicFault
	for i, f := range long {
		all = append(all, f)
		all = append(all, short[i*len(short)/len(long):(i+1)*len(short)/len(long)]...)
	}
	return all
}

// report logs the counts of the rig's subscribers.
func (r *rig) report() {
	var reconnects, refused int64
	for _, s := range r.subscribers {
		reconnects += s.reconnects.Load()
		refused += s.refused.Load()
	}
	r.t.Logf("%d reconnects, %d rejected subscriptions; gaps:\n%s", reconnects, refused, &r.gapLog)
}

// bench is a cmd/bench process.
type bench struct {
	*proctest.Process
	output proctest.Output
}

// startBench starts bench with subscribers that stay, move and read slowly.
func startBench(t *testing.T, length time.Duration, r *rig) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", path, "sluice/cmd/bench").CombinedOutput(); err != nil {
		t.Fatalf("building bench: %v\n%s", err, out)
	}
	args := []string{
		"--redis-url", r.redis.URL(), "--duration", length.String(), "--patience", "1m",
		"--subscribers", "300", "--slow", "10", "--churn", "20s", "--rate", "50",
	}
	for _, g := range r.gateways {
		args = append(args, "--target", g.URL())
	}
	b := new(bench)
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &b.output, &b.output
	b.Process = proctest.Start(t, cmd)
	return b
}

// usage is the system resources of a process.
type usage struct {
	memory      int // resident, in bytes
	connections int
	descriptors int // except those of connections
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

// checkGrowth compares the maximum of the last third with that of the first.
func checkGrowth(t *testing.T, samples []usage) {
	t.Helper()
	third := max(len(samples)/3, 1)
	first, last := samples[:third], samples[len(samples)-third:]
	most := func(list []usage, of func(usage) int) int {
		return of(slices.MaxFunc(list, func(a, b usage) int { return of(a) - of(b) }))
	}
	memory := func(u usage) int { return u.memory }
	if before, after := most(first, memory), most(last, memory); after > before+before*growthPercent/100+memorySlack {
		t.Errorf("memory has grown from %d MiB to %d MiB", before>>20, after>>20)
	}
	descriptors := func(u usage) int { return u.descriptors }
	if before, after := most(first, descriptors), most(last, descriptors); after > before+descriptorSlack {
		t.Errorf("descriptors other than connections have grown from %d to %d", before, after)
	}
}
