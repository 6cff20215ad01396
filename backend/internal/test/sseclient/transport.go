package sseclient

import (
	"context"
	"net"
	"net/http"
	"time"
)

// dialTimeout bounds how long a connection may take to come about.
const dialTimeout = 10 * time.Second

// Transport are the settings of [NewHTTP].
type Transport struct {
	// Source, if not nil, returns the local address of the next connection.
	Source func() net.IP
	// ReadBuffer is the size of the sockets' receive buffers, 0 for the system's own. A
	// small one lets a slow reader hold up the server soon.
	ReadBuffer int
	// HTTP2 has connections speak HTTP/2, also without TLS, instead of HTTP/1.1.
	HTTP2 bool
}

// NewHTTP returns an HTTP client that opens a connection of its own for each request, and
// has small buffers, so that there can be thousands.
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
		_ = tcp.SetReadBuffer(t.ReadBuffer) // a wish
	}
	return conn, err
}
