package delivery

import (
	"container/heap"
	"time"
)

// alarms tells a shard which of its connections are to be looked at when, with one timer
// for all of them.
type alarms struct {
	queue alarmQueue
	timer *time.Timer // nil until the first alarm
}

type alarm struct {
	at   instant
	conn *conn
}

// set schedules a connection for a time, if that is not zero. Of several times the first
// counts.
func (a *alarms) set(c *conn, t time.Time) {
	at := instantOf(t)
	switch {
	case at == 0:
	case c.alarm == 0:
		heap.Push(&a.queue, alarm{at, c})
	case at < a.queue[c.alarm-1].at:
		a.queue[c.alarm-1].at = at
		heap.Fix(&a.queue, int(c.alarm-1))
	}
}

// cancel removes a connection that has ended.
func (a *alarms) cancel(c *conn) {
	if c.alarm != 0 {
		heap.Remove(&a.queue, int(c.alarm-1))
	}
}

// next returns a channel that gets the time when the first alarm is due.
func (a *alarms) next() <-chan time.Time {
	if len(a.queue) == 0 {
		return nil
	}
	wait := a.queue[0].at.since(instantOf(time.Now()))
	if a.timer == nil {
		a.timer = time.NewTimer(wait)
	} else {
		a.timer.Reset(wait)
	}
	return a.timer.C
}

// due removes and returns a connection that is due, nil if there is none.
func (a *alarms) due(now time.Time) *conn {
	if len(a.queue) == 0 || instantOf(now) < a.queue[0].at {
		return nil
	}
	return heap.Pop(&a.queue).(alarm).conn
}

func (a *alarms) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// alarmQueue implements [heap.Interface].
type alarmQueue []alarm

func (q alarmQueue) Len() int           { return len(q) }
func (q alarmQueue) Less(i, j int) bool { return q[i].at < q[j].at }

func (q alarmQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].conn.alarm, q[j].conn.alarm = int32(i+1), int32(j+1)
}

func (q *alarmQueue) Push(x any) {
	*q = append(*q, x.(alarm))
	(*q)[len(*q)-1].conn.alarm = int32(len(*q))
}

func (q *alarmQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	x.conn.alarm = 0
	(*q)[last] = alarm{} // the array must not keep an ended connection
	*q = (*q)[:last]
	return x
}
