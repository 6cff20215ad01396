package redistest

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	os.Exit(Run(m))
}

// Not parallel: other tests must not have goroutines.
func TestLeaks_IgnoresLingeringClient(t *testing.T) {
	var dials atomic.Int64
	trying, release := make(chan struct{}), make(chan struct{})
	client := redis.NewClient(&redis.Options{PoolSize: 1, DialerRetries: 1, MaxRetries: -1, Dialer: func(context.Context, string, string) (net.Conn, error) {
		if dials.Add(1) == 2 { // the client checks whether the server is up again
			close(trying)
			<-release
		}
		return nil, errors.New("the server is down")
	}})
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Fatal("got a reply of a server that is down")
	}
	<-trying
	client.Close()
	if goleak.Find() == nil {
		t.Error("go-redis leaves no goroutine: lingering is no longer needed")
	}
	close(release)
	if err := findLeaks(); err != nil {
		t.Error(err)
	}
}

func TestLeaks_ReportsGoroutine(t *testing.T) {
	leave, left := make(chan struct{}), make(chan struct{})
	go stay(leave, left)
	err := findLeaks()
	close(leave)
	<-left
	if err == nil || !strings.Contains(err.Error(), "redistest.stay") {
		t.Errorf("got error %v", err)
	}
}

func stay(leave <-chan struct{}, left chan<- struct{}) {
	defer close(left)
	<-leave
}
