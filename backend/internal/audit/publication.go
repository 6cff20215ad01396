package audit

import (
	"slices"
	"sync"
	"time"

	"sluice/internal/event"
)

// Publication is what was published to one topic, as its publisher knows it. One
// goroutine publishes, one message after the other; any may ask.
type Publication struct {
	run   string
	topic event.Topic

	mu        sync.Mutex
	begun     int64   // the newest number
	answered  int64   // the newest number that Done covers
	confirmed int64   // the newest number that was taken for sure
	doubtful  []int64 // numbers that may have been taken or not, ascending
}

// NewPublication returns the publication of a literal topic in one audit.
func NewPublication(run string, topic event.Topic) *Publication {
	return &Publication{run: run, topic: topic}
}

// Topic returns the topic.
func (p *Publication) Topic() event.Topic {
	return p.topic
}

// Next returns the payload with the next number, of at least size bytes. Done must follow
// after the last payload of a transaction, and after each other payload.
func (p *Publication) Next(size int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun++
	return Message{Run: p.run, Topic: p.topic.String(), N: p.begun, Time: time.Now().UnixNano()}.encode(size)
}

// Done says how publishing the payloads since the last call ended: all of them, or none
// after an error. After an error it is unknown whether they were accepted, perhaps even later
// than those that follow, so the audit allows both. They must not be published again.
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

// Confirmed returns the newest number that was taken for sure, 0 if none was.
func (p *Publication) Confirmed() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.confirmed
}

// Doubtful returns how many numbers may have been taken or not.
func (p *Publication) Doubtful() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(len(p.doubtful))
}

// doubtfulBetween counts the doubtful numbers from from up to but not including to.
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
