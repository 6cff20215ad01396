package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const page, secret = "<!doctype html><title>the app</title>", "nobody's business"

// newWebDir returns a directory with a built web app. Its parent contains a file that must not be
// served.
func newWebDir(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"secret.txt":             secret,
		"dist/index.html":        page,
		"dist/favicon.svg":       "<svg/>",
		"dist/assets/app-1.js":   "console.log(1)",
		"dist/assets/app-1.css":  "body{}",
		"dist/nested/index.html": "another page",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(root, "dist")
}

func TestWebApp_ServesPageForEveryRoute(t *testing.T) {
	t.Parallel()
	g := start(t, "--web-dir="+newWebDir(t))
	for _, tt := range []struct {
		path, body, contentType string
		status                  int
	}{
		{"/", page, "text/html", 200},
		{"/index.html", page, "text/html", 200}, // after a redirect
		{"/topics", page, "text/html", 200},
		{"/topics/channel", page, "text/html", 200},
		{"/favicon.svg", "<svg/>", "image/svg+xml", 200},
		{"/assets/app-1.js", "console.log(1)", "text/javascript", 200},
		{"/assets/app-1.css", "body{}", "text/css", 200},
		{"/assets/app-2.js", "", "", 404},
		{"/missing.png", "", "", 404},
	} {
		a := g.get(tt.path)
		if a.status != tt.status || tt.status == 200 && (a.body != tt.body || !strings.HasPrefix(a.header.Get("Content-Type"), tt.contentType)) {
			t.Errorf("%s: got status %d, %s: %.100q", tt.path, a.status, a.header.Get("Content-Type"), a.body)
		}
	}
	if got := g.get("/assets/app-1.js").header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("an asset has Cache-Control %q", got)
	}
	if got := g.get("/").header.Get("Cache-Control"); !strings.Contains(got, "no-cache") {
		t.Errorf("the page has Cache-Control %q", got)
	}
	if a := g.do(http.MethodHead, "/", nil); a.status != http.StatusOK {
		t.Errorf("HEAD /: got status %d", a.status)
	}
	checkProblem(t, "POST /", g.do(http.MethodPost, "/", nil), http.StatusMethodNotAllowed)
	if a := g.get("/healthz"); a.body == page {
		t.Error("/healthz: got the page")
	}
	if a := g.get("/metrics"); strings.Contains(a.body, "sluice_") {
		t.Error("/metrics is on the public address")
	}
	g.subscribe("").disconnect()
}

func TestWebApp_RedirectsNestedPages(t *testing.T) {
	t.Parallel()
	g := start(t, "--web-dir="+newWebDir(t))
	g.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for path, want := range map[string]string{
		"/logs/":             "../logs",
		"/logs/?filter=a%26": "../logs?filter=a%26",
		"/topics/channel/a":  "../../topics",
		"//host/x":           "../../host",
		"/a%20b/c":           "../a%20b",
	} {
		if a := g.get(path); a.status != http.StatusFound || a.header.Get("Location") != want {
			t.Errorf("%s gives %d to %q, want %q", path, a.status, a.header.Get("Location"), want)
		}
	}
}

func TestWebApp_PathTraversal(t *testing.T) {
	t.Parallel()
	g := start(t, "--web-dir="+newWebDir(t))
	for _, path := range []string{
		"/../secret.txt", "/assets/../../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt",
		"/..%5csecret.txt", "//../secret.txt", "/./../secret.txt", "/assets/..%2f..%2fsecret.txt", "/secret.txt", "/%00", "/assets/app-1.js%00",
		"/..", "/topics/..", "/topics%2f..", "/../topics",
	} {
		// A raw request, because an HTTP client would clean the path.
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(testTimeout))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
		got, err := io.ReadAll(conn)
		conn.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(got), secret) || strings.Contains(string(got), " 500 ") {
			t.Errorf("GET %s gives %q", path, got)
		}
		if strings.Contains(string(got), "text/plain") {
			t.Errorf("GET %s: got %q, want the same response as for other unknown paths", path, got)
		}
	}
}

// An older build has older files. After a rollback a browser must not keep the newer page.
func TestWebApp_ETagDependsOnContent(t *testing.T) {
	t.Parallel()
	dir := newWebDir(t)
	etags := make(map[string]string)
	for i, now := range []string{page, page + "newer", page} {
		index := filepath.Join(dir, "index.html")
		if err := os.WriteFile(index, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		modified := time.Now().Add(-time.Duration(i) * time.Hour)
		if err := os.Chtimes(index, modified, modified); err != nil {
			t.Fatal(err)
		}
		g := start(t, "--web-dir="+dir)
		a := g.get("/", "If-Modified-Since", time.Now().UTC().Format(http.TimeFormat))
		if a.status != http.StatusOK || a.body != now || a.header.Get("Last-Modified") != "" {
			t.Errorf("version %d: got status %d, headers %v, body %q", i, a.status, a.header, a.body)
		}
		etag := a.header.Get("ETag")
		for _, page := range []string{"/", "/logs"} {
			if a := g.get(page, "If-None-Match", etag); a.status != http.StatusNotModified || a.body != "" {
				t.Errorf("%s with its ETag: got status %d: %q", page, a.status, a.body)
			}
		}
		for other, content := range etags {
			if same := other == etag; same != (content == now) {
				t.Errorf("contents %q and %q: got ETags %s and %s", content, now, other, etag)
			}
		}
		etags[etag] = now
	}
}

func TestWebApp_ServesOnlyRegularFiles(t *testing.T) {
	t.Parallel()
	dir := newWebDir(t)
	for name, target := range map[string]string{
		"out.txt": "/etc/passwd", "up.txt": "../secret.txt", "parent": "..", "loop.txt": "loop.txt", "inside.txt": "assets/app-1.js",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".env", ".git/config", "assets/.htpasswd"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := mkfifo(filepath.Join(dir, "fifo.txt")); err != nil {
		t.Fatal(err)
	}
	g := start(t, "--web-dir="+dir)
	for _, path := range []string{"/out.txt", "/up.txt", "/parent/secret.txt", "/loop.txt", "/.env", "/.git/config", "/assets/.htpasswd", "/fifo.txt"} {
		checkProblem(t, path, g.get(path), http.StatusNotFound)
	}
	if a := g.get("/inside.txt"); a.status != http.StatusOK || a.body != "console.log(1)" {
		t.Errorf("link inside the directory: got status %d, body %q", a.status, a.body)
	}
}

// Files are read at the start. A link that is created later has no effect.
func TestWebApp_FilesAreReadAtStart(t *testing.T) {
	t.Parallel()
	dir := newWebDir(t)
	g := start(t, "--web-dir="+dir)
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "late.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "favicon.svg")); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, "a file of later", g.get("/late.txt"), http.StatusNotFound)
	if a := g.get("/favicon.svg"); a.body != "<svg/>" {
		t.Errorf("removed file: got status %d, body %q", a.status, a.body)
	}
}

func TestWebApp_ServerPathsAreNotPages(t *testing.T) {
	t.Parallel()
	g := start(t, "--web-dir="+newWebDir(t))
	for _, path := range []string{"/metrics", "/metrics/", "/events/", "/events/x", "/readyz/", "/stats/x", "/debug/pprof/", "//events/"} {
		checkProblem(t, path, g.get(path, "Accept", "text/event-stream"), http.StatusNotFound)
	}
}

func TestWebApp_SecurityHeaders(t *testing.T) {
	t.Parallel()
	g := start(t, "--web-dir="+newWebDir(t))
	for _, path := range []string{"/", "/logs", "/assets/app-1.js", "/missing.js"} {
		header := g.get(path).header
		policy := header.Get("Content-Security-Policy")
		for _, directive := range []string{"default-src 'self'", "connect-src 'self'", "worker-src 'self'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy+";", directive+";") {
				t.Errorf("%s: the policy %q has no %s", path, policy, directive)
			}
		}
		if strings.Contains(policy, "unsafe") || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Referrer-Policy") == "" {
			t.Errorf("%s has the headers %v", path, header)
		}
	}
}

func TestWebApp_PolicyAllowsAPIOrigin(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"https://events.example.com", "http://127.0.0.1:4000"} {
		dir := newWebDir(t)
		if err := os.WriteFile(filepath.Join(dir, "api-origin.txt"), []byte(origin+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		g := start(t, "--web-dir="+dir)
		for _, path := range []string{"/", "/assets/app-1.js"} {
			if policy := g.get(path).header.Get("Content-Security-Policy"); !strings.Contains(policy, "; connect-src 'self' "+origin+"; ") {
				t.Errorf("%s built for %s has the policy %q", path, origin, policy)
			}
		}
	}
}

func TestWebApp_BadAPIOrigin(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{
		"", "*", "https:", "https://*", "https://*.example.com", "https://example.com/path", "events.example.com", "http://[::1]:4000",
		"https://example.com https://example.org", "https://example.com; script-src *", "https://example.com\nhttps://example.org",
	} {
		t.Run(origin, func(t *testing.T) {
			t.Parallel()
			dir := newWebDir(t)
			if err := os.WriteFile(filepath.Join(dir, "api-origin.txt"), []byte(origin), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd, _, stderr := command(t, "--addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--web-dir="+dir)
			if err := cmd.Run(); err == nil {
				t.Error("got a running server, want an error")
			}
			if line := strings.TrimSuffix(stderr.String(), "\n"); !strings.Contains(line, "--web-dir: api-origin.txt") || strings.Contains(line, "\n") {
				t.Errorf("got error %q", line)
			}
		})
	}
}

func TestWebApp_Encodings(t *testing.T) {
	t.Parallel()
	dir := newWebDir(t)
	for name, content := range map[string]string{"app-1.js.br": "as br", "app-1.js.gz": "as gzip", "app-1.css.gz": "css as gzip"} {
		if err := os.WriteFile(filepath.Join(dir, "assets", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g := start(t, "--web-dir="+dir)
	etags := make(map[string]bool)
	for _, tt := range []struct{ path, accept, body, encoding, vary string }{
		{"/assets/app-1.js", "gzip, deflate, br, zstd", "as br", "br", "Accept-Encoding"},
		{"/assets/app-1.js", "gzip;q=1.0, br;q=0", "as gzip", "gzip", "Accept-Encoding"},
		{"/assets/app-1.js", "br; q=0.000, gzip ; q=0.5", "as gzip", "gzip", "Accept-Encoding"},
		{"/assets/app-1.js", "br;q=0.5, gzip;q=0.8", "as gzip", "gzip", "Accept-Encoding"},
		{"/assets/app-1.js", "GZIP;Q=1", "as gzip", "gzip", "Accept-Encoding"},
		{"/assets/app-1.js", "br;q=best, x-gzip", "console.log(1)", "", "Accept-Encoding"},
		{"/assets/app-1.js", "identity", "console.log(1)", "", "Accept-Encoding"},
		{"/assets/app-1.css", "br", "body{}", "", "Accept-Encoding"},
		{"/", "br, gzip", page, "", ""},
	} {
		a := g.get(tt.path, "Accept-Encoding", tt.accept)
		if a.body != tt.body || a.header.Get("Content-Encoding") != tt.encoding || a.header.Get("Vary") != tt.vary {
			t.Errorf("%s with %q gives %q, %v", tt.path, tt.accept, a.body, a.header)
		}
		if kind := a.header.Get("Content-Type"); strings.HasSuffix(tt.path, ".js") && !strings.HasPrefix(kind, "text/javascript") {
			t.Errorf("%s with %q has the type %s", tt.path, tt.accept, kind)
		}
		etags[a.header.Get("ETag")] = true
	}
	if len(etags) != 5 {
		t.Errorf("got %d ETags for five contents", len(etags))
	}
}

func TestWebApp_CachedEncodings(t *testing.T) {
	t.Parallel()
	dir := newWebDir(t)
	for name, content := range map[string]string{
		"assets/app-1.js.br": "as br", "assets/app-1.js.gz": "as gzip", "index.html.br": "page as br", "index.html.gz": "page as gzip",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g := start(t, "--web-dir="+dir)
	for _, tt := range []struct{ path, caching string }{
		{"/assets/app-1.js", "public, max-age=31536000, immutable"},
		{"/", "no-cache"},
		{"/logs", "no-cache"},
	} {
		etags := make(map[string]string)
		for _, encoding := range []string{"br", "gzip", "identity"} {
			full := g.get(tt.path, "Accept-Encoding", encoding)
			etag := full.header.Get("ETag")
			etags[encoding] = etag
			head := g.do(http.MethodHead, tt.path, nil, "Accept-Encoding", encoding)
			cached := g.get(tt.path, "Accept-Encoding", encoding, "If-None-Match", etag)
			for what, a := range map[string]answer{"GET": full, "HEAD": head, "304": cached} {
				if a.header.Get("ETag") != etag || a.header.Get("Vary") != "Accept-Encoding" || a.header.Get("Cache-Control") != tt.caching {
					t.Errorf("%s of %s as %s has the headers %v", what, tt.path, encoding, a.header)
				}
			}
			if head.status != http.StatusOK || head.header.Get("Content-Encoding") != full.header.Get("Content-Encoding") {
				t.Errorf("HEAD of %s as %s: got status %d, %v", tt.path, encoding, head.status, head.header)
			}
			if cached.status != http.StatusNotModified || cached.body != "" {
				t.Errorf("%s as %s with its ETag: got status %d: %q", tt.path, encoding, cached.status, cached.body)
			}
		}
		if a := g.get(tt.path, "Accept-Encoding", "gzip", "If-None-Match", etags["br"]); a.status != http.StatusOK || a.header.Get("ETag") != etags["gzip"] {
			t.Errorf("%s as gzip with the ETag of br: got status %d, %v", tt.path, a.status, a.header)
		}
	}
}

func TestWebApp_WithoutDirectory(t *testing.T) {
	t.Parallel()
	g := start(t)
	checkProblem(t, "GET /", g.get("/"), http.StatusNotFound)
}
