package redis_test

import (
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/event"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

func TestRedis_KeepsAllConnectionsAlive(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	sentinel := redistest.StartSentinel(t, master)
	cluster := redistest.StartCluster(t, 2, 0, time.Minute)
	authority := redistest.NewAuthority(t)
	overTLS := redistest.StartTLS(t, authority)
	alone := redistest.Start(t)

	for _, src := range []interface{ Close() error }{
		followAll(t, openRedis(t, alone.URL())),
		followAll(t, openRedis(t, redistest.SentinelURL(sentinel))),
		followAll(t, openRedis(t, cluster.URL())),
		followAll(t, openTLS(t, "rediss://"+overTLS.TLSAddr(), authority, quiet)),
	} {
		defer src.Close()
	}
	for name, tt := range map[string]struct {
		addr  string
		least int // connections: pool, Pub/Sub, tracking, and the blocking read of streams
	}{
		"a server":                  {alone.Addr(), 5},
		"a server with TLS":         {overTLS.TLSAddr(), 5},
		"a master":                  {master.Addr(), 5},
		"its sentinel":              {sentinel.Addr(), 1},
		"the first of a cluster":    {cluster.Masters[0].Addr(), 4},
		"the second of the cluster": {cluster.Masters[1].Addr(), 4},
	} {
		sockets := socketsTo(t, tt.addr)
		if len(sockets) < tt.least {
			t.Errorf("%s: got %d connections, want at least %d", name, len(sockets), tt.least)
		}
		for _, fd := range sockets {
			got := []int{
				option(t, fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE),
				option(t, fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE),
				option(t, fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL),
				option(t, fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT),
				option(t, fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT),
			}
			if want := []int{1, 15, 5, 3, 30_000}; !slices.Equal(got, want) {
				t.Errorf("%s: got keepalive, idle time, interval, count and user timeout %v, want %v", name, got, want)
			}
		}
	}
}

// followAll follows a topic of each kind and returns the source.
func followAll(t *testing.T, src *redis.Source) *redis.Source {
	t.Helper()
	for _, kind := range event.Kinds {
		follow(t, src, event.Literal(kind, "a"))
		follow(t, src, event.Literal(kind, "b")) // in a cluster: a slot of the other master
	}
	follow(t, src, parseTopic(t, "key:*"))
	return src
}

// socketsTo returns the sockets of this process that are connected to an address.
func socketsTo(t *testing.T, addr string) []int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, entry := range open {
		fd, _ := strconv.Atoi(entry.Name())
		peer, err := unix.Getpeername(fd)
		if err != nil {
			continue
		}
		if in4, ok := peer.(*unix.SockaddrInet4); ok && netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)).String() == addr {
			found = append(found, fd)
		}
	}
	return found
}

func option(t *testing.T, fd, level, name int) int {
	t.Helper()
	value, err := unix.GetsockoptInt(fd, level, name)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
