package redistest

import "testing"

// StartTLS is like Start, for a server that also listens with TLS at TLSAddr. Its methods use the
// port without TLS.
func StartTLS(t testing.TB, authority *Authority, args ...string) *Server {
	t.Helper()
	return Start(t, append(authority.Args(FreePort(t)), args...)...)
}

// TLSAddr returns the host:port with TLS.
func (s *Server) TLSAddr() string {
	return "127.0.0.1:" + s.argument("--tls-port")
}

// peerPort returns the port for other servers: the one with TLS if they use TLS.
func (s *Server) peerPort() any {
	if s.argument("--tls-replication") == "yes" {
		return s.argument("--tls-port")
	}
	return s.port
}
