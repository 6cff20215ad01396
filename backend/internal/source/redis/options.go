package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options say which Redis to use and how to reach it.
type Options struct {
	// One of these is set.
	server   *redis.Options
	sentinel *redis.FailoverOptions
	cluster  *redis.ClusterOptions

	tls *tls.Config // nil without TLS

	// Lag is called with the time from the publish of each probe to its arrival. It must not
	// block.
	Lag func(time.Duration)
	// KeyUnreadable is called for each key that is left out of a glob because Redis forbids
	// reading it, at each read. It must not block.
	KeyUnreadable func()
}

// errAddress replaces the errors of the parsers, which can quote any part of the address,
// the password included.
var errAddress = errors.New("not a Redis address such as redis://:password@127.0.0.1:6379/0; check the scheme, the port, the database and the parameters, and percent-encode special characters of the user and the password (# is %23, / is %2F, ? is %3F, @ is %40)")

// ParseURL reads the address of a server (redis://, unix://), of a master that
// Sentinel watches (redis-sentinel://host:port?addr=host:port&master_name=NAME) or of a
// cluster (redis-cluster://host:port?addr=host:port); addr may be repeated. With
// rediss://, rediss-sentinel:// and rediss-cluster://, all connections use TLS. What
// further parameters there are is go-redis's choice; Sentinel has its user in front of the
// host, and that of Redis in username and password.
func ParseURL(address string) (*Options, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	plain, form, _ := strings.Cut(scheme, "-")
	if isMisread(scheme, rest) {
		return nil, errAddress
	}
	o := Options{Lag: func(time.Duration) {}, KeyUnreadable: func() {}}
	var err error
	switch form {
	case "":
		o.server, err = redis.ParseURL(address)
	case "sentinel":
		o.sentinel, err = redis.ParseFailoverURL(plain + "://" + rest)
	case "cluster":
		o.cluster, err = redis.ParseClusterURL(plain + "://" + rest)
	default:
		err = errAddress
	}
	switch {
	case err != nil, slices.ContainsFunc(o.addresses(), hasBadPort):
		return nil, errAddress
	case o.sentinel != nil && o.sentinel.MasterName == "":
		return nil, errors.New("redis-sentinel:// needs the name under which Sentinel watches the master: redis-sentinel://127.0.0.1:26379?master_name=NAME")
	case o.cluster != nil && hasPath(rest):
		return nil, errors.New("redis-cluster:// takes no database: a cluster has only one")
	case o.readsReplicas():
		return nil, errors.New("the gateway follows masters, since replicas may lag: leave out read_only, replica_only, route_by_latency and route_randomly")
	}
	o.setDefaults()
	return &o, nil
}

// isMisread reports whether a part of the password would be read as another part of the
// address: url.Parse ends the password at #, / and ?. Of these, ? leads to an unknown
// parameter, which the parsers refuse.
func isMisread(scheme, rest string) bool {
	beforeQuery, _, _ := strings.Cut(rest, "?")
	_, path, _ := strings.Cut(beforeQuery, "/")
	return strings.Contains(rest, "#") || scheme != "unix" && strings.Contains(path, "@")
}

func hasPath(rest string) bool {
	u, err := url.Parse("//" + rest)
	return err == nil && strings.Trim(u.Path, "/") != ""
}

// addresses returns the addresses of the first connections, without the path of a socket.
func (o *Options) addresses() []string {
	switch {
	case o.sentinel != nil:
		return o.sentinel.SentinelAddrs
	case o.cluster != nil:
		return o.cluster.Addrs
	case o.server.Network == "unix":
		return nil
	}
	return []string{o.server.Addr}
}

func hasBadPort(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err != nil || n == 0
}

func (o *Options) readsReplicas() bool {
	if s := o.sentinel; s != nil {
		return s.ReplicaOnly || s.RouteByLatency || s.RouteRandomly
	}
	c := o.cluster
	return c != nil && (c.ReadOnly || c.RouteByLatency || c.RouteRandomly)
}

// setDefaults sets the options that do not depend on the address. go-redis must not repeat a
// command, since a publish could arrive twice: callers get the error at once, and the loops of
// this package try again. Clients send no command that this package does not need, since an ACL
// would have to allow it.
func (o *Options) setDefaults() {
	noNotices := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch {
	case o.server != nil:
		o.tls = o.server.TLSConfig
		o.server.MaxRetries, o.server.DialerRetries = -1, 1
		o.server.ContextTimeoutEnabled, o.server.DisableIdentity = true, true
		o.server.MaintNotificationsConfig = noNotices
		o.server.ConnMaxIdleTime = cmp.Or(o.server.ConnMaxIdleTime, maxIdle)
		o.server.Dialer = newDial(o.server.DialTimeout, o.tls)
	case o.sentinel != nil:
		o.tls = o.sentinel.TLSConfig
		o.sentinel.MaxRetries, o.sentinel.DialerRetries = -1, 1
		o.sentinel.ContextTimeoutEnabled, o.sentinel.DisableIdentity = true, true
		o.sentinel.OnConnect = refuseReplica
		o.sentinel.MinIdleConns = 0 // nothing is dialled before open replaces the dialer
		o.sentinel.ConnMaxIdleTime = cmp.Or(o.sentinel.ConnMaxIdleTime, maxIdle)
		o.sentinel.Dialer = newDial(o.sentinel.DialTimeout, o.tls)
	case o.cluster != nil:
		o.tls = o.cluster.TLSConfig
		o.cluster.MaxRetries, o.cluster.DialerRetries = -1, 1
		o.cluster.ContextTimeoutEnabled, o.cluster.DisableIdentity = true, true
		o.cluster.ClusterStateReloadInterval = 10 * time.Second
		o.cluster.MaintNotificationsConfig = noNotices
		o.cluster.ConnMaxIdleTime = cmp.Or(o.cluster.ConnMaxIdleTime, maxIdle)
		o.cluster.Dialer = newDial(o.cluster.DialTimeout, o.tls)
		o.cluster.NewClient = new(endpoints).newClient
	}
	if o.tls != nil {
		o.tls.ServerName = "" // the host that is dialled, and there may be several
	}
}

// refuseReplica refuses connections to a server that is no longer the master, which a Sentinel
// with old information may name. A replica forwards the messages of its master, and does not
// report that it lost the connection to it.
func refuseReplica(ctx context.Context, conn *redis.Conn) error {
	hello := redis.NewMapStringInterfaceCmd(ctx, "hello")
	if err := conn.Process(ctx, hello); err != nil {
		return err
	}
	if hello.Val()["role"] == "replica" {
		return errors.New("the server that Sentinel names is not a master")
	}
	return nil
}

// Configure returns the options of --redis-url and --redis-ca, which all programs have. Errors name
// the flag. If ca is not empty, TLS connections trust the authorities in this PEM file, and no others.
func Configure(url, ca string) (*Options, error) {
	o, err := ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("--redis-url: %w", err)
	}
	if ca != "" {
		if err := o.useCA(ca); err != nil {
			return nil, fmt.Errorf("--redis-ca: %w", err)
		}
	}
	return o, nil
}

func (o *Options) useCA(file string) error {
	if o.tls == nil {
		return errors.New("an authority is for connections with TLS: the address of Redis must begin with rediss")
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the operator's choice
	if err != nil {
		return err
	}
	o.tls.RootCAs = x509.NewCertPool()
	if !o.tls.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return nil
}

// open returns a client for commands. limit bounds the replies in bytes; 0 is no bound.
func (o *Options) open(limit int64) (client redis.UniversalClient) {
	switch {
	case o.server != nil:
		own := *o.server
		own.Dialer = limitReplies(own.Dialer, limit)
		client = redis.NewClient(&own)
	case o.sentinel != nil:
		master := redis.NewFailoverClient(new(*o.sentinel))
		settings := master.Options()
		settings.Dialer = limitReplies(dialBySentinel(settings.Dialer, o.sentinel.MasterName), limit)
		client = master
	default:
		own := *o.cluster
		own.Addrs = slices.Clip(slices.Clone(own.Addrs)) // each client appends to it
		own.Dialer = limitReplies(own.Dialer, limit)
		client = redis.NewClusterClient(&own)
	}
	client.AddHook(retryReads{})
	return client
}

// openNode returns a client for one node of a cluster.
func (o *Options) openNode(addr string) *redis.Client {
	return o.cluster.NewClient(&redis.Options{
		Addr:                     addr,
		Dialer:                   o.cluster.Dialer,
		Username:                 o.cluster.Username,
		Password:                 o.cluster.Password,
		TLSConfig:                o.cluster.TLSConfig,
		MaxRetries:               -1,
		DialerRetries:            1,
		DialTimeout:              o.cluster.DialTimeout,
		ReadTimeout:              o.cluster.ReadTimeout,
		WriteTimeout:             o.cluster.WriteTimeout,
		ConnMaxIdleTime:          o.cluster.ConnMaxIdleTime,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: o.cluster.MaintNotificationsConfig,
	})
}

// connection returns the settings of connections to one node of a cluster.
func (o *Options) connection(addr string) *redis.Options {
	client := o.openNode(addr)
	defer client.Close() // it has not connected
	return client.Options()
}
