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

// set has a connection come up at a time, none if that is zero. Of several times the
// first counts.
func (a *alarms) set(c *conn, t time.Time) {
	at := instantOf(t)
	if at == 0 || c.due != 0 && at >= c.due {
		return
	}
	c.due = at
	heap.Push(&a.queue, alarm{at, c})
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

// due takes out a connection whose time has come, nil if there is none. The connection
// may have ended.
func (a *alarms) due(now time.Time) *conn {
	for len(a.queue) > 0 && instantOf(now) >= a.queue[0].at {
		first := heap.Pop(&a.queue).(alarm)
		if first.conn.due == first.at { // else an earlier one has replaced it
			first.conn.due = 0
			return first.conn
		}
	}
	return nil
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
func (q alarmQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

func (q *alarmQueue) Push(x any) { *q = append(*q, x.(alarm)) }

func (q *alarmQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	(*q)[last] = alarm{} // so that a connection that ended is let go
	*q = (*q)[:last]
	return x
}
