package audit

import (
	"slices"
	"sync"
	"time"

	"sluice/internal/event"
)

// Publication numbers the messages of one topic and records which of them Redis accepted. One
// goroutine publishes, one message after the other; the other methods may be called from any
// goroutine.
type Publication struct {
	Topic event.Topic // does not change
	run   string

	mu        sync.Mutex
	begun     int64   // newest number
	answered  int64   // newest number for which Done was called
	confirmed int64   // newest number that was certainly accepted
	doubtful  []int64 // numbers that may or may not have been accepted, ascending
}

// NewPublication returns the publication of a literal topic in one audit.
func NewPublication(run string, topic event.Topic) *Publication {
	return &Publication{Topic: topic, run: run}
}

// Next returns the payload with the next number, of at least size bytes. The caller calls Done
// after publishing it, or once after the last payload of a transaction.
func (p *Publication) Next(size int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun++
	return Message{Run: p.run, Topic: p.Topic.String(), N: p.begun, Time: time.Now().UnixNano()}.encode(size)
}

// Done records the outcome of publishing all payloads since the last call. If err is nil, all
// were accepted. Otherwise they may have been accepted, possibly after later payloads, so the
// audit allows both. The caller must not publish them again.
func (p *Publication) Done(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := p.answered + 1; n <= p.begun && err != nil; n++ {
		p.doubtful = append(p.doubtful, n)
	}
	if err == nil {
		p.confirmed = p.begun
	}
	p.answered = p.begun
}

// Begun returns the newest number.
func (p *Publication) Begun() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun
}

// Confirmed returns the newest number that was certainly accepted, or 0.
func (p *Publication) Confirmed() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.confirmed
}

// Doubtful returns how many numbers may or may not have been accepted.
func (p *Publication) Doubtful() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(len(p.doubtful))
}

// doubtfulBetween counts the doubtful numbers in [from, to).
func (p *Publication) doubtfulBetween(from, to int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, _ := slices.BinarySearch(p.doubtful, from)
	end, _ := slices.BinarySearch(p.doubtful, to)
	return int64(max(end-first, 0))
}

func (p *Publication) isDoubtful(n int64) bool {
	return p.doubtfulBetween(n, n+1) > 0
}
