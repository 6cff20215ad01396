package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/test/gatewaytest"
	"sluice/internal/test/proctest"
	"sluice/internal/test/redistest"
)

// goroutinesIn returns the number of goroutines that run code of a package.
func goroutinesIn(name string) int {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2) // a write to a buffer does not fail
	n := 0
	for goroutine := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(goroutine, name) {
			n++
		}
	}
	return n
}

func TestStart_ReleasesResourcesAfterError(t *testing.T) { // not parallel: it counts goroutines
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg, err := parseFlags("--addr=127.0.0.1:0", "--admin-addr="+taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Start(cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatalf("got a running server at %s, want an error", s.URL())
	}
	for _, name := range []string{"sluice/internal/hub.", "sluice/internal/delivery.", "sluice/internal/source."} {
		eventually(t, "no goroutine in "+name, func() bool { return goroutinesIn(name) == 0 })
	}
}

func TestStart_WarnsOfForbiddenDefaultTopics(t *testing.T) {
	t.Parallel()
	const warning = "no client may follow a default topic"
	if g := start(t, "--default-topics=channel:updates", "--allow-subscribe=stream:a, key:b"); !strings.Contains(g.log.String(), warning) {
		t.Error("got no warning")
	}
	if g := start(t, "--default-topics=channel:updates", "--allow-subscribe=stream:a, channel:updates"); strings.Contains(g.log.String(), warning) {
		t.Error("got an unexpected warning")
	}
}

func TestSettings_ListsIgnoreSpaces(t *testing.T) {
	t.Parallel()
	cfg, err := parseFlags("--allow-subscribe=channel:a, channel:b", "--allow-publish= key:a ,key:b", "--default-topics=channel:a, channel:b",
		"--cors-origins=https://a.example, https://b.example", "--trusted-proxies=10.0.0.0/8, ::1")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.AllowSubscribe[1].Name() != "b" || cfg.AllowPublish[0].Name() != "a" || cfg.DefaultTopics[1].Name() != "b" ||
		!slices.Equal(cfg.TrustedProxies, []string{"10.0.0.0/8", "::1"}) {
		t.Errorf("got lists %+v", cfg)
	}
}

func TestSettings_SecretFromFile(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s", 32)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg, err := parseFlags("--jwt-secret-file=" + file); err != nil || cfg.JWTSecret != secret {
		t.Errorf("got secret %q, error %v", cfg.JWTSecret, err)
	}
}

func TestProgram_PrintsVersion(t *testing.T) {
	t.Parallel()
	cmd, stdout, _ := command(t, "--version")
	if err := cmd.Run(); err != nil || stdout.String() != "dev\n" {
		t.Errorf("got output %q, error %v", stdout.String(), err)
	}
}

func TestSettings_LogFormatAndLevel(t *testing.T) {
	t.Parallel()
	cfg, err := parseFlags("--log-format=json", "--log-level=warn")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := cfg.Logger(&out)
	log.Info("hidden")
	log.Warn("shown")
	if !strings.HasPrefix(out.String(), "{") || strings.Contains(out.String(), "hidden") || !strings.Contains(out.String(), `"msg":"shown"`) {
		t.Errorf("got log %q", out.String())
	}
}

func TestShutdown_AnswersRequestsDuringDrain(t *testing.T) {
	t.Parallel()
	g := start(t, "--drain=1h", "--allow-subscribe=channel:updates,stream:*", "--allow-publish=key:*")
	g.post("key=s", "x")
	ctx, cutShort := context.WithCancel(t.Context())
	defer cutShort()
	stopped := make(chan struct{})
	go func() { defer close(stopped); g.shutdown(ctx) }()
	eventually(t, "/readyz is 503", func() bool { return g.get("/readyz").status == http.StatusServiceUnavailable })
	for path, want := range map[string]string{"/events": `{"reason":"draining"}`, "/healthz": "ok"} {
		status, closes, body := g.getOnce(path)
		if status != http.StatusOK || !closes || !strings.Contains(body, want) {
			t.Errorf("%s: got status %d, Connection: close %v, body %s", path, status, closes, body)
		}
	}
	if status, _, body := g.getOnce("/events?stream=s"); status != http.StatusConflict {
		t.Errorf("a stream that is a key: got status %d, body %s", status, body)
	}
	cutShort()
	<-stopped
	if conn, err := net.Dial("tcp", g.server.listener.Addr().String()); err == nil {
		conn.Close()
		t.Error("the listener is open after the drain")
	}
}

// getOnce sends a GET as an EventSource does. closes reports whether the response has Connection:
// close.
func (g *gateway) getOnce(path string) (status int, closes bool, body string) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.url+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, resp.Close, string(text)
}

// copyFile replaces a file atomically, as a certificate renewal does.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, text)
}

func writeFile(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func TestCertificate_LoadsRenewedFiles(t *testing.T) {
	t.Parallel()
	firstCert, firstKey := redistest.NewAuthority(t).Pair()
	secondCert, secondKey := redistest.NewAuthority(t).Pair()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	copyFile(t, firstCert, cert)
	copyFile(t, firstKey, key)
	c, err := openCertificate(cert, key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	served := func() string {
		c.checked = c.checked.Add(-certificateCheck) // the next handshake checks the files
		pair, err := c.get(new(tls.ClientHelloInfo))
		if err != nil {
			t.Fatal(err)
		}
		return string(pair.Certificate[0])
	}
	first := served()
	writeFile(t, cert, []byte("broken"))
	if served() != first {
		t.Error("a broken file replaces the certificate")
	}
	copyFile(t, secondCert, cert)
	if served() != first {
		t.Error("a certificate without its key is served")
	}
	copyFile(t, secondKey, key)
	if served() == first {
		t.Error("the renewed certificate is not served")
	}
}

func TestProgram_SIGHUPReloadsCertificate(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	g := gatewaytest.StartTLS(t, authority)
	g.Signal(syscall.SIGHUP)
	proctest.Await(t, testTimeout, "the certificate is reloaded", func() bool { return strings.Contains(g.Log(), "certificate reloaded") })
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: authority.Client(), DisableKeepAlives: true}}
	response, err := client.Get(g.URL() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("/healthz: got status %d, %v", response.StatusCode, err)
	}
}
