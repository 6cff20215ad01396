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

// newWebDir returns a built web app beside a file that is not part of it.
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

func TestWebApp_IsServedWithItsPageForEveryRoute(t *testing.T) {
	t.Parallel()
	g := start(t, "--web-dir="+newWebDir(t))
	for _, tt := range []struct {
		path, body, contentType string
		status                  int
	}{
		{"/", page, "text/html", 200},
		{"/index.html", page, "text/html", 200}, // by way of a redirect
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
			t.Errorf("%s gives %d, %s: %.100q", tt.path, a.status, a.header.Get("Content-Type"), a.body)
		}
	}
	if got := g.get("/assets/app-1.js").header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("an asset has Cache-Control %q", got)
	}
	if got := g.get("/").header.Get("Cache-Control"); !strings.Contains(got, "no-cache") {
		t.Errorf("the page has Cache-Control %q", got)
	}
	if a := g.do(http.MethodHead, "/", nil); a.status != http.StatusOK {
		t.Errorf("HEAD / gives %d", a.status)
	}
	checkProblem(t, "POST /", g.do(http.MethodPost, "/", nil), http.StatusMethodNotAllowed)
	if a := g.get("/healthz"); a.body == page {
		t.Error("the page hides /healthz")
	}
	if a := g.get("/metrics"); strings.Contains(a.body, "sluice_") {
		t.Error("/metrics is on the public address")
	}
	g.subscribe("").disconnect()
}

func TestWebApp_GivesNothingFromOutsideItsDirectory(t *testing.T) {
	t.Parallel()
	g := start(t, "--web-dir="+newWebDir(t))
	for _, path := range []string{
		"/../secret.txt", "/assets/../../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt",
		"/..%5csecret.txt", "//../secret.txt", "/./../secret.txt", "/assets/..%2f..%2fsecret.txt", "/secret.txt", "/%00", "/assets/app-1.js%00",
		"/..", "/topics/..", "/topics%2f..", "/../topics",
	} {
		// Written by hand, since a client would clean the path.
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
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
			t.Errorf("GET %s is not refused like everything else: %q", path, got)
		}
	}
}

func TestWebApp_ServesFilesAsTheyAreNow(t *testing.T) {
	t.Parallel()
	dir := newWebDir(t)
	g := start(t, "--web-dir="+dir)
	for _, now := range []string{"<svg/>", "<svg>new</svg>"} {
		if err := os.WriteFile(filepath.Join(dir, "favicon.svg"), []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		if a := g.get("/favicon.svg"); a.body != now {
			t.Errorf("instead of %q comes %q", now, a.body)
		}
	}
	if err := os.Remove(filepath.Join(dir, "favicon.svg")); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, "a file that is gone", g.get("/favicon.svg"), http.StatusNotFound)
}

func TestWebApp_WithoutADirectoryThereIsNone(t *testing.T) {
	t.Parallel()
	g := start(t)
	checkProblem(t, "GET /", g.get("/"), http.StatusNotFound)
}
