package httpapi

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
)

func TestForwarded_ClientAddress(t *testing.T) {
	t.Parallel()
	r := gin.New()
	r.RemoteIPHeaders = []string{forwardedFor}
	if err := r.SetTrustedProxies([]string{"10.0.0.0/8", "fd00::/8"}); err != nil {
		t.Fatal(err)
	}
	r.GET("/", normalizeForwarded, func(c *gin.Context) { c.String(http.StatusOK, clientAddr(c).String()) })
	for _, tt := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"10.0.0.1:1", []string{"1.1.1.4"}, "1.1.1.4"},
		{"10.0.0.1:1", []string{"1.1.1.4:5555"}, "1.1.1.4"},
		{"10.0.0.1:1", []string{"1.1.1.4:5555, 10.0.0.2:80"}, "1.1.1.4"},
		{"10.0.0.1:1", []string{"[2001:db8::1]:443"}, "2001:db8::"},
		{"10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::"},
		{"10.0.0.1:1", []string{"2001:db8::1%eth0"}, "2001:db8::"},
		{"10.0.0.1:1", []string{"1.1.1.4:5555, [fd00::1]:80"}, "1.1.1.4"},
		{"10.0.0.1:1", []string{"6.6.6.6", "1.1.1.4:5555"}, "1.1.1.4"}, // the proxy adds another line
		{"10.0.0.1:1", []string{"6.6.6.6, 1.1.1.4"}, "1.1.1.4"},
		{"10.0.0.1:1", []string{"unknown"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"1.1.1.4:http"}, "10.0.0.1"},
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"2.2.2.2:1", []string{"1.1.1.4:5555"}, "2.2.2.2"}, // not a trusted proxy
	} {
		request := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		request.RemoteAddr = tt.remote
		request.Header[forwardedFor] = tt.forwarded
		w := httptest.NewRecorder()
		r.ServeHTTP(w, request)
		if got := w.Body.String(); got != tt.want {
			t.Errorf("%s with %q: got %s, want %s", tt.remote, tt.forwarded, got, tt.want)
		}
	}
}
