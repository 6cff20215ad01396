package sseclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/internal/test/sseclient"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// server answers each connection with the next handler. It repeats the last one.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	lastIDs []string
}

func serve(t *testing.T, handlers ...http.HandlerFunc) *server {
	s := new(server)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if accept := r.Header.Get("Accept"); accept != "text/event-stream" {
			t.Errorf("got Accept %q", accept)
		}
		s.mu.Lock()
		handler := handlers[min(len(s.lastIDs), len(handlers)-1)]
		s.lastIDs = append(s.lastIDs, r.Header.Get("Last-Event-ID"))
		s.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// ids returns the Last-Event-ID of each connection.
func (s *server) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lastIDs)
}

// sends answers with a text and closes the connection.
func sends(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
	}
}

// holds answers with a text and keeps the connection open.
func holds(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		sends(text)(w, r)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func client(urls ...string) *sseclient.Client {
	next := -1
	return &sseclient.Client{
		Target: func() string { next++; return urls[min(next, len(urls)-1)] },
		HTTP:   sseclient.NewHTTP(sseclient.Transport{ReadBuffer: 64 << 10}),
		Pause:  func() time.Duration { return 0 },
	}
}

// follow runs a client until it has n events. It returns the events and the errors of ended
// connections.
func follow(t *testing.T, c *sseclient.Client, n int) (events []string, ends []string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = c.Run(ctx, func(e sseclient.Event) {
		events = append(events, fmt.Sprintf("%s|%s|%s", e.ID, e.Type, e.Data))
		if len(events) == n {
			cancel()
		}
	}, func(err error) { ends = append(ends, err.Error()) })
	return events, ends, err
}

func TestClient_ReconnectsWithLastCompleteEvent(t *testing.T) {
	t.Parallel()
	first := serve(t, sends("id: 1\nevent: x\ndata: a\n\nid: 2\ndata: b\ndata: c\n\nid: 3\ndata: cut off"))
	second := serve(t, holds("data: without\n\nid: 4\ndata: d\n\n"))
	events, ends, err := follow(t, client(first.URL, second.URL), 4)
	if want := []string{"1|x|a", "2||b\nc", "2||without", "4||d"}; err != nil || !slices.Equal(events, want) {
		t.Errorf("got events %q, error %v", events, err)
	}
	if got := append(first.ids(), second.ids()...); !slices.Equal(got, []string{"", "2"}) {
		t.Errorf("got ids %q", got)
	}
	if !slices.Equal(ends, []string{"EOF"}) {
		t.Errorf("got ends %q", ends)
	}
}

func TestClient_RunAgainResumes(t *testing.T) {
	t.Parallel()
	s := serve(t, holds("id: 1\ndata: a\n\n"), holds("id: 2\ndata: b\n\n"))
	c := client(s.URL)
	for _, want := range []string{"1||a", "2||b"} {
		if events, _, err := follow(t, c, 1); err != nil || !slices.Equal(events, []string{want}) {
			t.Errorf("got events %q, error %v", events, err)
		}
	}
	if got := s.ids(); !slices.Equal(got, []string{"", "1"}) {
		t.Errorf("got ids %q", got)
	}
}

func TestClient_ReconnectsAfterStreamClose(t *testing.T) {
	t.Parallel()
	s := serve(t,
		holds("id: 1\ndata: a\n\nevent: stream.close\ndata: {\"reason\":\"draining\"}\n\nid: 2\ndata: never\n\n"),
		holds("id: 2\ndata: b\n\n"))
	events, ends, err := follow(t, client(s.URL), 3)
	if want := []string{"1||a", `1|stream.close|{"reason":"draining"}`, "2||b"}; err != nil || !slices.Equal(events, want) {
		t.Errorf("got events %q, error %v", events, err)
	}
	if len(ends) != 1 || !strings.Contains(ends[0], "draining") {
		t.Errorf("got ends %q", ends)
	}
}

func TestClient_ReconnectsAfter(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"an error of the server": status(http.StatusBadGateway, "bad"),
		"a full server":          status(http.StatusServiceUnavailable, "full"),
		"too many requests":      status(http.StatusTooManyRequests, "slowly"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, handler, handler, holds("data: a\n\n"))
			events, ends, err := follow(t, client(s.URL), 1)
			if err != nil || len(events) != 1 || len(ends) != 2 {
				t.Errorf("got events %q, ends %q, error %v", events, ends, err)
			}
		})
	}
	t.Run("no server", func(t *testing.T) {
		t.Parallel()
		gone := httptest.NewServer(nil)
		gone.Close()
		s := serve(t, holds("data: a\n\n"))
		events, ends, err := follow(t, client(gone.URL, s.URL), 1)
		if err != nil || len(events) != 1 || len(ends) != 1 {
			t.Errorf("got events %q, ends %q, error %v", events, ends, err)
		}
	})
}

func TestClient_EndsWhenRejected(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"a bad topic":  status(http.StatusBadRequest, " why \n"),
		"not allowed":  status(http.StatusUnauthorized, "why"),
		"not a stream": status(http.StatusOK, "why"),
		"not found":    status(http.StatusNotFound, "why"),
		"no content":   status(http.StatusNoContent, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, handler)
			_, _, err := follow(t, client(s.URL), 1)
			var refused *sseclient.RefusedError
			if !errors.As(err, &refused) || refused.Detail != "why" && refused.Status != http.StatusNoContent {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func TestClient_DisconnectsAfterLife(t *testing.T) {
	t.Parallel()
	s := serve(t, holds("id: 1\ndata: a\n\n"))
	c := client(s.URL)
	c.Life = func() time.Duration { return time.Millisecond }
	_, ends, err := follow(t, c, 3)
	if err != nil || len(ends) < 2 || ends[0] != "left" {
		t.Errorf("got ends %q, error %v", ends, err)
	}
}

func TestClient_ReconnectsAfterSilence(t *testing.T) {
	t.Parallel()
	s := serve(t, holds("id: 1\ndata: a\n\n"))
	c := client(s.URL)
	c.Silence = 20 * time.Millisecond
	_, ends, err := follow(t, c, 3)
	if err != nil || len(ends) < 2 || ends[0] != "no data for 20ms" {
		t.Errorf("got ends %q, error %v", ends, err)
	}
}

func TestClient_AcceptsLargeEvents(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 200<<10)
	s := serve(t, holds("data: "+large+"\n\n"))
	c := client(s.URL)
	c.MaxEvent = 1 << 20
	events, _, err := follow(t, c, 1)
	if err != nil || !slices.Equal(events, []string{"||" + large}) {
		t.Errorf("got %d events, error %v", len(events), err)
	}
}

func TestSlowly_ReadsSlowlyUntilHurry(t *testing.T) {
	t.Parallel()
	const rest = 1 << 20
	hurry := make(chan struct{})
	text := strings.NewReader(strings.Repeat("x", rest))
	r := sseclient.Slowly(1<<20, hurry)(t.Context(), text)
	p := make([]byte, rest)
	if n, err := r.Read(p); n == 0 || n > 4096 || err != nil {
		t.Errorf("slow reader: got %d bytes, error %v", n, err)
	}
	close(hurry)
	left := text.Len()
	if n, err := r.Read(p); n != left || err != nil {
		t.Errorf("reader after hurry: got %d of %d bytes, error %v", n, left, err)
	}
}
