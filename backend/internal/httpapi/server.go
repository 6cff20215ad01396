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
	// bodyTimeout is how long the body of a request may take to arrive.
	bodyTimeout = 30 * time.Second
	// answerTimeout is how long a request may take in all that is no event stream: longer than
	// its body, and what Redis does with it. It is for HTTP/2, where one stream may take
	// nothing while its connection does; others are watched by delivery.Listener.
	answerTimeout = time.Minute
	// http2Streams bounds the requests at once on one HTTP/2 connection, which is all that a
	// browser has, with a hundred tabs of event streams.
	http2Streams = 128
	// http2Buffer bounds what is taken in of one HTTP/2 connection before a handler reads it.
	http2Buffer = 256 << 10
	// http2Ping is the silence after which the other end of an HTTP/2 connection has to show
	// that it is there.
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
