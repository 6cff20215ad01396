package redistest

import "testing"

// StartTLS is Start for a server that listens with TLS too, at TLSAddr. Its methods keep to
// the port without.
func StartTLS(t testing.TB, authority *Authority, args ...string) *Server {
	t.Helper()
	return Start(t, append(authority.Args(FreePort(t)), args...)...)
}

// TLSAddr returns the host:port with TLS.
func (s *Server) TLSAddr() string {
	return "127.0.0.1:" + s.argument("--tls-port")
}

// peerPort returns where other servers connect: with TLS if they are told to use that.
func (s *Server) peerPort() any {
	if s.argument("--tls-replication") == "yes" {
		return s.argument("--tls-port")
	}
	return s.port
}
