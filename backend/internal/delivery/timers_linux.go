package delivery

import (
	"container/heap"
	"time"
)

// timers schedules the connections of a shard with one [time.Timer] for all of them.
type timers struct {
	queue timerQueue
	timer *time.Timer // nil until the first entry
}

type timerEntry struct {
	at   instant
	conn *conn
}

// set schedules a connection for a time. A zero time has no effect. If the connection is already
// scheduled, the earlier time counts.
func (a *timers) set(c *conn, t time.Time) {
	at := toInstant(t)
	switch {
	case at == 0:
	case c.timerIndex == 0:
		heap.Push(&a.queue, timerEntry{at, c})
	case at < a.queue[c.timerIndex-1].at:
		a.queue[c.timerIndex-1].at = at
		heap.Fix(&a.queue, int(c.timerIndex-1))
	}
}

// cancel removes a connection from the schedule.
func (a *timers) cancel(c *conn) {
	if c.timerIndex != 0 {
		heap.Remove(&a.queue, int(c.timerIndex-1))
	}
}

// next returns a channel that receives the time when the first connection is due, or nil if the
// queue is empty.
func (a *timers) next() <-chan time.Time {
	if len(a.queue) == 0 {
		return nil
	}
	wait := a.queue[0].at.since(toInstant(time.Now()))
	if a.timer == nil {
		a.timer = time.NewTimer(wait)
	} else {
		a.timer.Reset(wait)
	}
	return a.timer.C
}

// due removes and returns a connection that is due, or returns nil.
func (a *timers) due(now time.Time) *conn {
	if len(a.queue) == 0 || toInstant(now) < a.queue[0].at {
		return nil
	}
	return heap.Pop(&a.queue).(timerEntry).conn
}

func (a *timers) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// timerQueue implements [heap.Interface].
type timerQueue []timerEntry

func (q timerQueue) Len() int           { return len(q) }
func (q timerQueue) Less(i, j int) bool { return q[i].at < q[j].at }

func (q timerQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].conn.timerIndex, q[j].conn.timerIndex = int32(i+1), int32(j+1)
}

func (q *timerQueue) Push(x any) {
	*q = append(*q, x.(timerEntry))
	(*q)[len(*q)-1].conn.timerIndex = int32(len(*q))
}

func (q *timerQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	x.conn.timerIndex = 0
	(*q)[last] = timerEntry{} // the array must not keep an ended connection
	*q = (*q)[:last]
	return x
}
