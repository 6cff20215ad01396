package redis_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

// leastPrivileges are the commands that a gateway runs. docs/redis.md lists them, too.
var leastPrivileges = strings.Fields(`-@all +ping +hello +client|id +client|unblock
	+subscribe +unsubscribe +psubscribe +punsubscribe +ssubscribe +sunsubscribe +publish
	+xread +xrange +xrevrange +xinfo|stream +multi +exec +xadd +pexpire +evalsha +eval +eval_ro
	+type +memory|usage +get +set +hgetall +lrange +smembers +zrange +scan +client|tracking
	+cluster|slots +asking +command`)

// allow permits a user to run the commands of a gateway.
func allow(server *redistest.Server, user, password string, more ...string) {
	args := []any{"ACL", "SETUSER", user, "on", ">" + password}
	for _, rule := range append(leastPrivileges, more...) {
		args = append(args, rule)
	}
	server.Do(args...)
}

// openTLS opens a source over TLS that trusts an authority.
func openTLS(t *testing.T, url string, authority *redistest.Authority, log *slog.Logger) *redis.Source {
	t.Helper()
	options, err := redis.Configure(url, authority.File)
	if err != nil {
		t.Fatal(err)
	}
	return closing(t, redis.Open(options, "n", someHistory, log))
}

func TestRedis_TLSWithLeastPrivileges(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	server := redistest.StartTLS(t, authority, "--requirepass", "of the default user")
	allow(server, "gateway", "p@ss", "allkeys", "allchannels")
	log := new(logLines)
	src := openTLS(t, "rediss://gateway:p%40ss@"+server.TLSAddr(), authority, newLog(log))
	becomesReady(t, src)
	checkAllKinds(t, src)
	denied := fmt.Sprint(server.Do("ACL", "LOG"))
	if strings.Contains(denied, "gateway") {
		t.Errorf("redis denied commands: %s", denied)
	}
	if warnings := log.with("level=WARN"); len(warnings) > 0 {
		t.Errorf("got warnings %q", warnings)
	}
}

// checkAllKinds publishes to topics of each kind and checks that the events arrive.
func checkAllKinds(t *testing.T, src source.Source) {
	t.Helper()
	p := uniquePrefix()
	for _, topic := range []event.Topic{
		channelNamed(p + "channel"), streamNamed(p + "stream"), keyNamed(p + "key"),
		parseTopic(t, "channel:"+p+"*"), parseTopic(t, "key:"+p+"*"),
	} {
		w, _ := follow(t, src, topic)
		for _, kind := range event.Kinds {
			if kind == topic.Kind {
				write(t, src, event.Literal(kind, p+kind.String()), source.Message{Data: []byte("of " + topic.String())})
			}
		}
		w.last(t, "of "+topic.String())
	}
	first := write(t, src, streamNamed(p+"stream"), source.Message{Data: []byte("once"), IdempotencyKey: "k"})
	if again := write(t, src, streamNamed(p+"stream"), source.Message{Data: []byte("once"), IdempotencyKey: "k"}); again != first {
		t.Errorf("one idempotency key: got ids %s and %s", first, again)
	}
}

// The URL contains the password of the Sentinels; that of the servers is a parameter.
func TestSentinel_OverTLSWithPasswords(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	among := []string{"--tls-replication", "yes"}
	master := redistest.StartTLS(t, authority, append(among, "--requirepass", "of the master")...)
	watch := slices.Concat(authority.Args(redistest.FreePort(t)), among, []string{"--requirepass", "of Sentinel"})
	sentinel := redistest.StartSentinel(t, master, watch...)
	address := "rediss-sentinel://:of%20Sentinel@" + sentinel.TLSAddr() + "?master_name=main&password=of%20the%20master"
	log := new(logLines)
	src := openTLS(t, address, authority, newLog(log))
	becomesReady(t, src)
	checkAllKinds(t, src)
	if warnings := log.with("level=WARN"); len(warnings) > 0 {
		t.Errorf("got warnings %q", warnings)
	}
	for _, password := range []string{"of%20Sentinel", "of%20the%20master"} {
		src := openTLS(t, strings.Replace(address, password, "wrong", 1), authority, quiet)
		if err := readiness(t.Context(), src); !errors.Is(err, source.ErrUnavailable) {
			t.Errorf("Ready without the password %s: got error %v", password, err)
		}
	}
}

func TestCluster_OverTLS(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	cluster := redistest.StartClusterTLS(t, authority, 3, 0, time.Minute)
	src := openTLS(t, cluster.URL(), authority, quiet)
	becomesReady(t, src)
	checkAllKinds(t, src)
	checkMovedChannel(t, cluster, src, func() {})
}

func TestRedis_ErrorNamesUnknownAuthority(t *testing.T) {
	t.Parallel()
	server := redistest.StartTLS(t, redistest.NewAuthority(t))
	log := new(logLines)
	src := openTLS(t, "rediss://"+server.TLSAddr(), redistest.NewAuthority(t), newLog(log))
	f := src.Follow(channelNamed("a"), newRecordingSink(t))
	const reason = "certificate signed by unknown authority"
	for what, err := range map[string]error{"Live": f.Live(t.Context()), "Ready": readiness(t.Context(), src)} {
		if !errors.Is(err, source.ErrUnavailable) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", what, err)
		}
	}
	eventually(t, "the log to tell it", func() bool { return len(log.with(reason)) > 0 })
}

func TestRedis_ErrorNamesWrongPassword(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	allow(server, "gateway", "right")
	src := openRedis(t, "redis://gateway:wrong@"+server.Addr())
	err := readiness(t.Context(), src)
	if !errors.Is(err, source.ErrUnavailable) || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("Ready: %v", err)
	}
}

func TestConfigure_CARequiresTLSAndCertificate(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ address, file, want string }{
		{"redis://127.0.0.1", empty, "rediss"},
		{"redis-cluster://127.0.0.1", empty, "rediss"},
		{"rediss://127.0.0.1", empty, "no certificate"},
		{"rediss-sentinel://127.0.0.1?master_name=m", empty + "x", "no such file"},
	} {
		if _, err := redis.Configure(tt.address, tt.file); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s with %s: %v", tt.address, filepath.Base(tt.file), err)
		}
	}
}
