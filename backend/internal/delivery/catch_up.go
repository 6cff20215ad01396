package delivery

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"sluice/internal/event"
)

// canHijack reports whether the connection of a request can be taken over from net/http:
// over TLS and HTTP/2 a socket is more than its bytes.
func (s *Server) canHijack(r *http.Request) bool {
	return len(s.shards) > 0 && r.TLS == nil && r.ProtoMajor == 1 && r.ProtoMinor == 1
}

// responseHead returns the head of an HTTP/1.1 answer whose body ends with the
// connection.
func responseHead(header http.Header) []byte {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nDate: %s\r\nConnection: close\r\n", time.Now().UTC().Format(http.TimeFormat))
	_ = header.Write(w) // to memory
	_, _ = w.WriteString("\r\n")
	_ = w.Flush()
	return b.Bytes()
}

// catchUp writes what a shard cannot, which is what only this client gets and what
// has to be read from elsewhere, and hands the connection over. It returns the end of the
// connection, or nil if it was handed over: ended is called then when it has ended.
func (s *Server) catchUp(conn net.Conn, first []byte, stream Stream, expires time.Time, ended func(*End)) *End {
	out := connWriter{conn}
	// Nobody reads the connection meanwhile, so that a client that leaves is noticed when it
	// is written to.
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
