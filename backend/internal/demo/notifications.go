package demo

import (
	"context"
	"math/rand/v2"
	"time"
)

type notification struct {
	Time     string `json:"time"`
	Title    string `json:"title"`
	Body     string `json:"body"`
	Severity string `json:"severity"`
}

var notifications = []notification{
	{Title: "Deployment finished", Body: "checkout 4.12.0 is live in all regions.", Severity: "success"},
	{Title: "New sign-up", Body: "A team of 12 started a trial.", Severity: "info"},
	{Title: "Backup completed", Body: "The nightly backup was verified.", Severity: "success"},
	{Title: "Disk filling up", Body: "The log volume is 83 % full.", Severity: "warning"},
	{Title: "Error rate rising", Body: "checkout answers 2.1 % of requests with an error.", Severity: "critical"},
	{Title: "Certificate renewed", Body: "The certificate is valid for 90 more days.", Severity: "info"},
}

func notify(_ context.Context, now time.Time) (message, error) {
	n := notifications[rand.IntN(len(notifications))]
	n.Time = timestamp(now)
	return message{value: n}, nil
}
