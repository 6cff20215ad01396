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

// Members is the command line of a client process, which holds connections. It reads orders and
// writes a report for each. Both are JSON.
type Members struct {
	URL         string `arg:""`
	Subscribers int    `arg:""`
}

// order requests a report about the time since the last order. The first order opens the
// connections.
type order struct {
	Await time.Duration // maximum wait until every subscriber has received a message
}

// report is the response to an order.
type report struct {
	Error    string
	Messages int64
	Pings    int64
	Gone     int64
	Slowest  time.Duration
}

// Run executes orders until the end of orders.
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

// members controls a client process.
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
	cmd := exec.CommandContext(ctx, program, "members", url, strconv.Itoa(subscribers)) //nolint:gosec // runs this program
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
	_ = m.cmd.Wait() // errors were reported in reports
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

// each calls do for all client processes concurrently, and joins the errors.
func (c *crowd) each(do func(*members) error) error {
	errs := make([]error, len(c.members))
	var working sync.WaitGroup
	for i, m := range c.members {
		working.Go(func() { errs[i] = do(m) })
	}
	working.Wait()
	return errors.Join(errs...)
}

// collect returns the sum of the reports of all client processes. It waits until every subscriber has
// received a message, at most for await.
func (c *crowd) collect(await time.Duration) (sum report, err error) {
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
