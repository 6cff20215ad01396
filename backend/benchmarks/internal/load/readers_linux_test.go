package load

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func openedAt(t *testing.T, h http.HandlerFunc, n int) (*Readers, error) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	target, err := NewTarget(server.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReaders()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, r.Open(t.Context(), n, func(int) Target { return target })
}

func TestReaders_ReadAllConnections(t *testing.T) {
	t.Parallel()
	publish := make(chan struct{})
	r, err := openedAt(t, func(w http.ResponseWriter, request *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-publish
		_, _ = w.Write(append(append([]byte("data: "), newMessage(1, time.Now(), 200)...), "\n\n"...))
		_ = http.NewResponseController(w).Flush()
		<-request.Context().Done()
	}, 300)
	if err != nil || r.Count() != 300 {
		t.Fatalf("got %d connections, error %v", r.Count(), err)
	}
	r.Reset()
	close(publish)
	if !r.Await(300, 30*time.Second) {
		t.Errorf("got only %d messages", r.Messages())
	}
	if tally := r.Reset(); tally.Messages != 300 || tally.Gone != 0 {
		t.Errorf("got tally %+v", tally)
	}
}

func TestReaders_ErrorNamesStatus(t *testing.T) {
	t.Parallel()
	_, err := openedAt(t, http.NotFound, 1)
	if err == nil || !strings.Contains(err.Error(), "404 Not Found") {
		t.Errorf("got error %v", err)
	}
}

func TestReaders_CountEndedConnections(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	r, err := openedAt(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "data: x\n\n")
		_ = http.NewResponseController(w).Flush()
		<-end
		panic(http.ErrAbortHandler)
	}, 2)
	if err != nil {
		t.Fatal(err)
	}
	close(end)
	for deadline := time.Now().Add(30 * time.Second); r.Count() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %d connections", r.Count())
		}
	}
	if tally := r.Reset(); tally.Gone != 2 {
		t.Errorf("got tally %+v", tally)
	}
}
