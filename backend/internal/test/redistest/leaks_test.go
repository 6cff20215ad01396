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

// Not parallel, so that no goroutine of another test is there.
func TestLeaks_ClientOfAServerThatIsGoneIsNone(t *testing.T) {
	var dials atomic.Int64
	trying, release := make(chan struct{}), make(chan struct{})
	client := redis.NewClient(&redis.Options{PoolSize: 1, DialerRetries: 1, MaxRetries: -1, Dialer: func(context.Context, string, string) (net.Conn, error) {
		if dials.Add(1) == 2 { // the client tries by itself whether the server is back
			close(trying)
			<-release
		}
		return nil, errors.New("there is no server")
	}})
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Fatal("a server that is not there answers")
	}
	<-trying
	client.Close()
	if goleak.Find() == nil {
		t.Error("nothing is left of a client: there is no need to wait for it any more")
	}
	close(release)
	if err := findLeaks(); err != nil {
		t.Error(err)
	}
}

func TestLeaks_GoroutineThatStaysIsOne(t *testing.T) {
	leave, left := make(chan struct{}), make(chan struct{})
	go stay(leave, left)
	err := findLeaks()
	close(leave)
	<-left
	if err == nil || !strings.Contains(err.Error(), "redistest.stay") {
		t.Errorf("found is %v", err)
	}
}

func stay(leave <-chan struct{}, left chan<- struct{}) {
	defer close(left)
	<-leave
}
