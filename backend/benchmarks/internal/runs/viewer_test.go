package runs

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	tokens = "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n"
	end    = "id: 3.end\nevent: stream.end\ndata: 2\n\n"
)

// watchResponses watches a run of two tokens. The server sends one text for each request, and the
// status 204 for an empty text and for further requests.
func watchResponses(t *testing.T, responses ...string) (*viewer, error) {
	t.Helper()
	requests := make(chan string, len(responses))
	for _, r := range responses {
		requests <- r
	}
	close(requests)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if text := <-requests; text != "" {
			_, _ = io.WriteString(w, text)
		} else {
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	v := &viewer{urls: []string{server.URL}, tokens: 2, life: time.Hour}
	return v, v.watch(ctx)
}

func TestViewer_AcceptsCompleteRun(t *testing.T) {
	t.Parallel()
	v, err := watchResponses(t, "id: 0\nevent: stream.open\ndata: {}\n\n"+tokens+end, "")
	if err != nil || v.received != 2 || !v.ended || v.lastID != "3.end" || v.join == 0 {
		t.Errorf("got the error %v, and %+v", err, v)
	}
}

func TestViewer_ReportsViolations(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		responses []string
		want      string
	}{
		"a missing token":                 {[]string{"data: 2\n\n"}, `got an event ""`},
		"a duplicate token":               {[]string{tokens + "data: 2\n\n"}, `got an event ""`},
		"a token too many":                {[]string{tokens + "data: 3\n\n"}, `got an event ""`},
		"a gap":                           {[]string{tokens + "event: stream.gap\ndata: {}\n\n"}, `got an event "stream.gap"`},
		"an early end":                    {[]string{"data: 1\n\n" + end}, `got an event "stream.end"`},
		"an end whose cursor is no end":   {[]string{tokens + "id: 3\nevent: stream.end\ndata: 2\n\n"}, `with the id "3":`},
		"a second end":                    {[]string{tokens + end + end}, "after the end"},
		"a token after the end":           {[]string{tokens + end + "data: 3\n\n"}, "after the end"},
		"a connection that ends too soon": {[]string{tokens}, "ended before the end"},
		"a status 204 before the end":     {[]string{""}, "got the status 204"},
		"a status 200 after the end":      {[]string{tokens + end, end}, "got the status 200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := watchResponses(t, test.responses...); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got the error %v, want %q", err, test.want)
			}
		})
	}
}

func TestRun_ReportsViolations(t *testing.T) {
	t.Parallel()
	few, many := newResult(1), newResult(2)
	few.runs, many.runs = 1, 1
	many.add(&viewer{received: 7, drops: 3}, false, "run:1, viewer 2", io.ErrUnexpectedEOF)
	var text strings.Builder
	err := new(Command).print(&text, few, many)
	if want := "run:1, viewer 2, after 7 tokens and 3 drops: unexpected EOF"; err == nil || !strings.Contains(text.String(), want) {
		t.Errorf("got the error %v, want %q in\n%s", err, want, text.String())
	}
}
