package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"sluice/internal/event"
)

// canHijack reports whether a shard can write to the connection of a request. With TLS or HTTP/2,
// the bytes of the stream are not the bytes of the socket.
func (s *Server) canHijack(r *http.Request) bool {
	return len(s.shards) > 0 && r.TLS == nil && r.ProtoMajor == 1 && r.ProtoMinor == 1
}

// responseHead returns the head of an HTTP/1.1 response whose body ends with the connection.
func responseHead(header http.Header) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 200 OK\r\nDate: %s\r\nConnection: close\r\n", time.Now().UTC().Format(http.TimeFormat))
	_ = header.Write(&b) // a write to memory never fails
	b.WriteString("\r\n")
	return b.Bytes()
}

// catchUp writes to a hijacked connection until the stream is live, and hands the connection over
// to a shard. It returns nil after the handover, and ended is called when the connection ends.
// Otherwise it closes the connection and returns its end; ended is not called.
func (s *Server) catchUp(conn net.Conn, first []byte, stream Stream, expires time.Time, ended func(*End)) *End {
	out := connWriter{conn}
	// The context never ends: no goroutine reads from the connection, so only a failed write
	// shows that the client has disconnected.
	end := s.connLoop(context.Background(), out, first, stream, expires, true)
	if end == nil {
		err := s.handOff(conn, stream, expires, ended)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrDraining):
			end = s.end(out, nil, event.Draining, nil)
		default:
			end = &End{Failed, err}
		}
	}
	_ = conn.Close()
	s.countCut(end)
	return end
}
