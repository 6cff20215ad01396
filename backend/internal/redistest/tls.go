package redistest

import (
	"fmt"
	"testing"
)

// StartTLS is Start for a server that listens with TLS too, and returns the host:port of
// that. Its methods keep to the port without.
func StartTLS(t testing.TB, authority *Authority, args ...string) (server *Server, addr string) {
	t.Helper()
	port := freePort(t)
	return Start(t, append(authority.Args(port), args...)...), fmt.Sprintf("127.0.0.1:%d", port)
}
