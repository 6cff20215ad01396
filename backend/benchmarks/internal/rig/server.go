package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Server is a running server of event streams.
type Server struct {
	*Process
	events string // URL of the events
}

// Channel is the Redis channel that every server follows.
const Channel = "updates"

// StartServer starts a program that serves the events of [Channel], and returns when it is ready. The
// program gets its port and the Redis in PORT and REDIS_URL. The variables of Sluice are set too.
func StartServer(ctx context.Context, name, line, redisURL string, env ...string) (*Server, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	process, err := Start(ctx, name, line, append([]string{
		fmt.Sprintf("PORT=%d", port), "REDIS_URL=" + redisURL,
		"SLUICE_ADDR=" + addr, "SLUICE_ADMIN_ADDR=127.0.0.1:0", "SLUICE_ALLOW_SUBSCRIBE=channel:*",
		"GIN_MODE=release", "NODE_ENV=production",
	}, env...)...)
	if err != nil {
		return nil, err
	}
	s := &Server{process, "http://" + addr + "/events"}
	if err := process.Await(ctx, s.serves); err != nil {
		process.Stop()
		return nil, err
	}
	return s, nil
}

// Events returns the URL of the events of some channels. [Channel] is the default of the server, so
// its URL has no query.
func (s *Server) Events(channels ...string) string {
	if slices.Equal(channels, []string{Channel}) {
		return s.events
	}
	return s.events + "?channel=" + strings.Join(channels, "&channel=")
}

// Run returns the URL of a stream from its first entry.
func (s *Server) Run(stream string) string {
	return s.events + "?from=start&stream=" + stream
}

// responseTimeout bounds one check whether a server is ready.
const responseTimeout = 2 * time.Second

func (s *Server) serves(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, responseTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.events, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/plain") // Sluice then responds with an error if it is not ready
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
