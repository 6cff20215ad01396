package redistest

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/test/proctest"
)

// masterName is the name of the master in Sentinel.
const masterName = "main"

// Watched is a master with a replica and three Sentinels that promote the replica if the master
// fails.
type Watched struct {
	Master, Replica *Server
	sentinels       []*Server
}

// StartWatched starts the servers and Sentinels, and returns when they have found each other. args
// are further arguments of the two servers.
func StartWatched(t testing.TB, args ...string) *Watched {
	t.Helper()
	args = append([]string{"--repl-diskless-sync-delay", "0"}, args...)
	master := Start(t, args...)
	w := &Watched{
		Master:  master,
		Replica: Start(t, append([]string{"--replicaof", "127.0.0.1", fmt.Sprint(master.port)}, args...)...),
	}
	for range 3 {
		w.sentinels = append(w.sentinels, StartSentinel(t, master))
	}
	await(t, "the replica is in step", func() bool { return w.Replica.inStep() })
	for _, s := range w.sentinels {
		await(t, "a Sentinel knows all others", func() bool {
			state := fmt.Sprint(s.Do("SENTINEL", "MASTER", masterName))
			return strings.Contains(state, "num-slaves:1 ") && strings.Contains(state, "num-other-sentinels:2 ")
		})
	}
	return w
}

// StartSentinel starts a Sentinel for a master. args are arguments of the Sentinel.
func StartSentinel(t testing.TB, master *Server, args ...string) *Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	settings := fmt.Sprintf("sentinel monitor %[1]s 127.0.0.1 %[2]v 2\nsentinel down-after-milliseconds %[1]s 1000\nsentinel failover-timeout %[1]s 5000\n", masterName, master.peerPort())
	if password := master.argument("--requirepass"); password != "" {
		settings += fmt.Sprintf("sentinel auth-pass %s %q\n", masterName, password)
	}
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Reserve(t)
	s.main, s.args = file, append([]string{"--sentinel"}, args...)
	s.Restart()
	return s
}

// inStep reports whether a replica has all data of its master.
func (s *Server) inStep() bool {
	info, _ := s.Do("INFO", "replication").(string)
	return strings.Contains(info, "master_link_status:up")
}

// URL returns redis-sentinel://host:port.
func (w *Watched) URL() string {
	return SentinelURL(w.sentinels...)
}

// SentinelURL returns the URL of the master that Sentinels watch.
func SentinelURL(sentinels ...*Server) string {
	query := url.Values{"master_name": {masterName}}
	for _, s := range sentinels[1:] {
		query.Add("addr", s.Addr())
	}
	return "redis-sentinel://" + sentinels[0].Addr() + "?" + query.Encode()
}

// await polls a condition until it holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	proctest.Await(t, startTimeout, what, holds)
}
