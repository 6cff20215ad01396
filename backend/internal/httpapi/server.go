package httpapi

import (
	"log"
	"log/slog"
	"net/http"
	"time"
)

const (
	maxHeaderBytes    = 64 << 10
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	// bodyTimeout bounds the time in which the body of a request arrives.
	bodyTimeout = 30 * time.Second
	// answerTimeout bounds a request that is not an event stream, its body and the time of Redis
	// included. It is for HTTP/2, where a stream may stall while its connection does not.
	// delivery.Listener bounds other connections.
	answerTimeout = time.Minute
	// http2Streams bounds the concurrent requests of an HTTP/2 connection. A browser has one
	// connection for all its tabs.
	http2Streams = 128
	// http2Buffer bounds the bytes of an HTTP/2 connection that no handler has read yet.
	http2Buffer = 256 << 10
	// http2Ping is the time without data after which the server pings an HTTP/2 client.
	http2Ping = 30 * time.Second
)

// newServer returns a server for HTTP/1.1 and HTTP/2, the latter without TLS too.
func newServer(handler http.Handler, logger *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:   handler,
		Protocols: protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          http2Streams,
			MaxReceiveBufferPerConnection: http2Buffer,
			MaxReceiveBufferPerStream:     http2Buffer,
			SendPingTimeout:               http2Ping,
		},
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          log.New(serverLog{logger}, "", 0),
	}
}
