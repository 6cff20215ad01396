package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
)

// machine samples the load of this machine. Rates are averages since the previous sample, and
// zero in the first one.
type machine struct {
	at   time.Time // time of the previous sample
	net  net.IOCountersStat
	disk disk.IOCountersStat
}

// metrics is one sample. Sizes are in bytes, rates in bytes per second, shares in
// percent.
type metrics struct {
	Time   string      `json:"time"`
	CPU    float64     `json:"cpu_percent"`
	Memory usage       `json:"memory"`
	Load   [3]float64  `json:"load"` // over 1, 5 and 15 minutes
	Disk   diskMetrics `json:"disk"`
	Net    netMetrics  `json:"network"`
}

type usage struct {
	Used    uint64  `json:"used_bytes"`
	Total   uint64  `json:"total_bytes"`
	Percent float64 `json:"used_percent"`
}

type diskMetrics struct {
	usage
	Read    float64 `json:"read_bytes_per_second"`
	Written float64 `json:"written_bytes_per_second"`
}

type netMetrics struct {
	Received float64 `json:"received_bytes_per_second"`
	Sent     float64 `json:"sent_bytes_per_second"`
}

func (m *machine) sample(ctx context.Context, now time.Time) (message, error) {
	busy, err := cpu.PercentWithContext(ctx, 0, false)
	if err != nil || len(busy) == 0 {
		return message{}, fmt.Errorf("reading the CPU time: %w", err)
	}
	ram, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return message{}, fmt.Errorf("reading the memory: %w", err)
	}
	average, err := load.AvgWithContext(ctx)
	if err != nil {
		return message{}, fmt.Errorf("reading the load: %w", err)
	}
	s := metrics{
		Time:   timestamp(now),
		CPU:    rounded(busy[0]),
		Memory: usage{ram.Used, ram.Total, rounded(ram.UsedPercent)},
		Load:   [3]float64{average.Load1, average.Load5, average.Load15},
	}
	elapsed := now.Sub(m.at).Seconds()
	if m.at.IsZero() {
		elapsed = 0
	}
	if s.Disk, err = m.sampleDisk(ctx, elapsed); err != nil {
		return message{}, fmt.Errorf("reading the disk: %w", err)
	}
	if s.Net, err = m.sampleNet(ctx, elapsed); err != nil {
		return message{}, fmt.Errorf("reading the network: %w", err)
	}
	m.at = now
	return message{value: s}, nil
}

func (m *machine) sampleDisk(ctx context.Context, elapsed float64) (diskMetrics, error) {
	root, err := disk.UsageWithContext(ctx, "/")
	if err != nil {
		return diskMetrics{}, err
	}
	d := diskMetrics{usage: usage{root.Used, root.Total, rounded(root.UsedPercent)}}
	// Containers often hide the block devices; the rates are zero then.
	devices, err := disk.IOCountersWithContext(ctx)
	if err != nil {
		return d, nil
	}
	var sum disk.IOCountersStat
	for name, c := range devices {
		if isPartition(name, devices) {
			continue // the counters of its device include it
		}
		sum.ReadBytes += c.ReadBytes
		sum.WriteBytes += c.WriteBytes
	}
	d.Read = rate(m.disk.ReadBytes, sum.ReadBytes, elapsed)
	d.Written = rate(m.disk.WriteBytes, sum.WriteBytes, elapsed)
	m.disk = sum
	return d, nil
}

// isPartition reports whether a name extends the name of another device, as sda1 extends sda.
func isPartition(name string, devices map[string]disk.IOCountersStat) bool {
	for end := 1; end < len(name); end++ {
		if _, ok := devices[name[:end]]; ok {
			return true
		}
	}
	return false
}

func (m *machine) sampleNet(ctx context.Context, elapsed float64) (netMetrics, error) {
	all, err := net.IOCountersWithContext(ctx, false)
	if err != nil || len(all) == 0 {
		return netMetrics{}, err
	}
	n := netMetrics{
		Received: rate(m.net.BytesRecv, all[0].BytesRecv, elapsed),
		Sent:     rate(m.net.BytesSent, all[0].BytesSent, elapsed),
	}
	m.net = all[0]
	return n, nil
}

// rate returns the increase per second, or 0 if the counter was reset.
func rate(before, after uint64, elapsed float64) float64 {
	if elapsed <= 0 || after < before {
		return 0
	}
	return rounded(float64(after-before) / elapsed)
}

// rounded rounds to two decimals.
func rounded(x float64) float64 {
	return float64(int64(x*100+0.5)) / 100
}
