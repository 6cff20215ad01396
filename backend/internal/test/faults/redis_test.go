package faults_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

// nodeTimeout is the time after which a cluster replaces a node that does not answer.
const nodeTimeout = 3 * time.Second

// gatewayUser is the arguments of redis-server for a user of the gateways, whose permissions a test
// can change.
var gatewayUser = []string{"--user", "gateway", "on", ">secret", "~*", "&*", "+@all"}

// gatewayURL returns the address of a server with that user.
func gatewayURL(addr string) string {
	return "redis://gateway:secret@" + addr
}

// form is the deployment of Redis.
type form int

const (
	alone   form = iota
	watched      // Sentinel with a replica of the master
	cluster      // three masters; the first has a replica and all topics
)

func openPublisher(t *testing.T, address string) *redis.Publisher {
	t.Helper()
	options, err := redis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	publisher := redis.OpenPublisher(options)
	t.Cleanup(func() { publisher.Close() })
	return publisher
}

// startRedis starts Redis in the given form and returns its address.
func (r *rig) startRedis(s setup) string {
	r.t.Helper()
	switch s.form {
	case watched:
		r.watched = redistest.StartWatched(r.t, s.redis...)
		r.redis = r.watched.Master
		return r.watched.URL()
	case cluster:
		r.cluster = redistest.StartCluster(r.t, 3, 1, nodeTimeout)
		r.redis = r.cluster.Masters[0]
		for n := 0; r.tag == "" || r.cluster.Owner(r.tag) != r.redis; n++ {
			r.tag = fmt.Sprintf("{%d}", n)
		}
		return r.cluster.URL()
	default:
		r.redis = redistest.Start(r.t, slices.Concat(gatewayUser, s.redis)...)
		return r.redis.URL()
	}
}

// synced runs a function while no message is published and all replicas have all data.
func (r *rig) synced(do func()) {
	r.t.Helper()
	r.quiet.Lock()
	defer r.quiet.Unlock()
	await(r.t, "the replica has everything", func() bool {
		client := r.redis.Client()
		client.Incr(r.t.Context(), r.tag+"written") // WAIT needs a write on this connection
		acknowledged, _ := client.Wait(r.t.Context(), 1, testTimeout).Result()
		return acknowledged == 1
	})
	do()
}

// do runs a command on a new connection.
func (r *rig) do(args ...any) *goredis.Cmd {
	r.t.Helper()
	cmd := r.redis.Client().Do(r.t.Context(), args...)
	if err := cmd.Err(); err != nil {
		r.t.Fatalf("%v: %v", args, err)
	}
	return cmd
}
