package sseclient

import (
	"context"
	"net"
	"net/http"
	"time"
)

// dialTimeout bounds the time to connect.
const dialTimeout = 10 * time.Second

// Transport is the settings of [NewHTTP].
type Transport struct {
	// Source, if not nil, returns the local address of the next connection.
	Source func() net.IP
	// ReadBuffer is the size of the receive buffer of sockets; 0 for the default of the system.
	// With a small buffer, a slow reader blocks the server soon.
	ReadBuffer int
	// HTTP2 selects HTTP/2, also without TLS, instead of HTTP/1.1.
	HTTP2 bool
}

// NewHTTP returns an HTTP client that opens a new connection for each request. Its buffers are
// small, so there can be thousands of connections.
func NewHTTP(t Transport) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!t.HTTP2)
	protocols.SetHTTP2(t.HTTP2)
	protocols.SetUnencryptedHTTP2(t.HTTP2)
	return &http.Client{Transport: &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       t.dial,
		DisableKeepAlives: true,
		WriteBufferSize:   1 << 10,
		Protocols:         protocols,
	}}
}

func (t Transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	if t.Source != nil {
		d.LocalAddr = &net.TCPAddr{IP: t.Source()}
	}
	conn, err := d.DialContext(ctx, network, address)
	if tcp, ok := conn.(*net.TCPConn); ok && t.ReadBuffer > 0 {
		_ = tcp.SetReadBuffer(t.ReadBuffer) // best effort
	}
	return conn, err
}
