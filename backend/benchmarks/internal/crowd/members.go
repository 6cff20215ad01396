package crowd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"sluice/benchmarks/internal/load"
)

// Members is the command line of a process that holds connections. It reads orders and
// answers each with a report, both JSON.
type Members struct {
	URL         string `arg:""`
	Subscribers int    `arg:""`
}

// order asks for what has come since the last one: at once, or when every subscriber has
// got a message or that time has passed. The first has the connections opened.
type order struct {
	Await time.Duration
}

// report is an answer.
type report struct {
	Error    string
	Messages int64
	Pings    int64
	Gone     int64
	Slowest  time.Duration
}

// Run does what the orders say until there are no more.
func (m *Members) Run(ctx context.Context, orders io.Reader, reports io.Writer) error {
	target, err := load.NewTarget(m.URL)
	if err != nil {
		return err
	}
	readers, err := load.NewReaders()
	if err != nil {
		return err
	}
	defer readers.Close()
	in, out := json.NewDecoder(orders), json.NewEncoder(reports)
	for opened := false; ; opened = true {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var r report
		if !opened {
			if err := readers.Open(ctx, m.Subscribers, func(int) load.Target { return target }); err != nil {
				r.Error = err.Error()
			}
		}
		if o.Await > 0 {
			readers.Await(int64(m.Subscribers), o.Await)
		}
		t := readers.Reset()
		r.Messages, r.Pings, r.Gone, r.Slowest = t.Messages, t.Pings, t.Gone, t.Slowest
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// members is such a process as its parent sees it.
type members struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	orders  *json.Encoder
	reports *json.Decoder
}

func startMembers(ctx context.Context, url string, subscribers int) (*members, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "members", url, strconv.Itoa(subscribers)) //nolint:gosec // this program again
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &members{cmd, in, json.NewEncoder(in), json.NewDecoder(out)}, nil
}

func (m *members) stop() {
	_ = m.in.Close()
	_ = m.cmd.Wait() // its reports have said what there is to say
}

func (m *members) do(o order) (r report, err error) {
	if err := m.orders.Encode(o); err != nil {
		return r, err
	}
	if err := m.reports.Decode(&r); err != nil {
		return r, fmt.Errorf("a process with subscribers has ended: %w", err)
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

func (m *members) open() error {
	_, err := m.do(order{})
	return err
}

// each calls do for all processes at the same time.
func (c *crowd) each(do func(*members) error) error {
	errs := make([]error, len(c.members))
	var working sync.WaitGroup
	for i, m := range c.members {
		working.Go(func() { errs[i] = do(m) })
	}
	working.Wait()
	return errors.Join(errs...)
}

// take adds up what has come since the last time, when every subscriber has got a message
// or the time has passed.
func (c *crowd) take(await time.Duration) (sum report, err error) {
	reports := make(chan report, len(c.members))
	err = c.each(func(m *members) error {
		r, err := m.do(order{await})
		reports <- r
		return err
	})
	close(reports)
	for r := range reports {
		sum.Messages += r.Messages
		sum.Pings += r.Pings
		sum.Gone += r.Gone
		sum.Slowest = max(sum.Slowest, r.Slowest)
	}
	return sum, err
}
