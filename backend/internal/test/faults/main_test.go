package faults_test

import (
	"os"
	"testing"

	"sluice/internal/test/gatewaytest"
)

func TestMain(m *testing.M) {
	os.Exit(gatewaytest.Run(m))
}

// startGateway starts a gateway with open topics on a Redis server.
func startGateway(t *testing.T, redisURL string, args ...string) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.Start(t, append([]string{
		"--redis-url", redisURL,
		"--allow-subscribe", "channel:*,stream:*,key:*",
		"--retry", "50ms",
		"--drain", "1s",
	}, args...)...)
}
