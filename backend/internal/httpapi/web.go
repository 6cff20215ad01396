package httpapi

import (
	"bytes"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// webApp serves the built web app from memory, and its page for every address that a browser
// may show in it. It never changes, so requests need no lock.
type webApp struct {
	files  map[string]webFile // by path, which begins with a slash; nil without a directory
	policy string             // Content-Security-Policy of all answers
}

// webFile is a file, or an encoding of one. The etag is that of its content, so a file that is
// rolled back gets its former etag.
type webFile struct {
	body []byte
	etag string
}

// webEncodings are the encodings that a build can provide, the preferred one first.
var webEncodings = []struct{ name, extension string }{{"br", ".br"}, {"gzip", ".gz"}}

// apiOriginFile is the file in which the build names the API's origin, if that is another one.
const apiOriginFile = "/api-origin.txt"

// apiOrigin matches an origin that a Content-Security-Policy can name. IPv6 addresses have no
// form there.
var apiOrigin = regexp.MustCompile(`^https?://[A-Za-z0-9._-]+(:[0-9]+)?$`)

// webPolicy returns the Content-Security-Policy of the web app, which allows connections to
// the origin of the API that the app is built for. The app sets styles through the CSSOM, which
// needs no exception.
func webPolicy(files map[string]webFile) (string, error) {
	connect := "'self'"
	if file, ok := files[apiOriginFile]; ok {
		origin := strings.TrimSpace(string(file.body))
		if !apiOrigin.MatchString(origin) {
			return "", fmt.Errorf("%s has %.100q, which is not an origin such as https://events.example.com", apiOriginFile[1:], origin)
		}
		connect += " " + origin
	}
	return "default-src 'self'; connect-src " + connect + "; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'", nil
}

// loadWebApp reads the web app in a directory. Without a directory, nothing is found.
func loadWebApp(dir string, log *slog.Logger) (*webApp, error) {
	if dir == "" {
		return new(webApp), nil
	}
	files, err := readWebDir(dir, log)
	if err != nil {
		return nil, err
	}
	policy, err := webPolicy(files)
	if err != nil {
		return nil, err
	}
	if _, ok := files["/index.html"]; !ok {
		return nil, fmt.Errorf("%s has no index.html that is a regular file; build the web app first", dir)
	}
	return &webApp{files, policy}, nil
}

// serve answers a request for a file, or for a page of the app.
func (app *webApp) serve(c *gin.Context) {
	if app.files == nil {
		writeProblem(c, http.StatusNotFound, "nothing is here; events are at /events, and the web app at / with --web-dir")
		return
	}
	header := c.Writer.Header()
	header.Set("Content-Security-Policy", app.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	if c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
		c.Header("Allow", "GET, HEAD")
		methodNotAllowed(c)
		return
	}
	name, caching := c.Request.URL.Path, "no-cache"
	_, found := app.files[name]
	switch {
	case found && strings.HasPrefix(name, "/assets/"):
		caching = "public, max-age=31536000, immutable" // the build names assets after their content
	case !found && isPage(name):
		if levels := strings.Count(name, "/"); levels > 1 {
			redirectUp(c, levels-1)
			return
		}
		name, found = "/index.html", true
	}
	if !found {
		writeProblem(c, http.StatusNotFound, "no such file in the web app")
		return
	}
	header.Set("Cache-Control", caching)
	// gin has set 404 as the status to be sent if nothing else is.
	c.Status(http.StatusOK)
	app.serveFile(c.Writer, c.Request, name)
}

// redirectUp redirects to the first segment of the path, which is the given number of levels
// above: all pages of the app are one level below its root, and its URLs are relative to the
// page. The redirect is relative too, as a proxy may have removed the beginning of the path.
func redirectUp(c *gin.Context, levels int) {
	first, _, _ := strings.Cut(strings.TrimLeft(c.Request.URL.Path, "/"), "/")
	target := url.URL{Path: strings.Repeat("../", levels) + first, RawQuery: c.Request.URL.RawQuery}
	c.Header("Location", target.String())
	c.Status(http.StatusFound)
}

// serveFile answers with a file in the encoding that the client prefers.
func (app *webApp) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	header := w.Header()
	file, best := app.files[name], 0.0
	header.Set("Content-Type", webContentType(name, file.body))
	for _, encoding := range webEncodings {
		encoded, ok := app.files[name+encoding.extension]
		if !ok {
			continue
		}
		if !slices.Contains(header.Values("Vary"), "Accept-Encoding") {
			header.Add("Vary", "Accept-Encoding")
		}
		if quality := encodingQuality(r, encoding.name); quality > best {
			header.Set("Content-Encoding", encoding.name)
			file, best = encoded, quality
		}
	}
	header.Set("ETag", file.etag)
	// Without a time of modification: an older file may be the newer version.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.body))
}

// encodingQuality returns the quality value of an encoding in Accept-Encoding. It is 0 if the
// client does not name the encoding, or if the value is malformed.
func encodingQuality(r *http.Request, name string) float64 {
	for _, item := range listItems(r, "Accept-Encoding") {
		coding, parameter, weighted := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), name) {
			continue
		}
		if !weighted {
			return 1
		}
		key, value, _ := strings.Cut(parameter, "=")
		quality, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !strings.EqualFold(strings.TrimSpace(key), "q") {
			return 0
		}
		return quality
	}
	return 0
}

// serverPaths are the first segments of paths that the server, or its admin address, uses.
// The app has no pages there, so a misspelt one is a 404.
var serverPaths = map[string]bool{"events": true, "healthz": true, "readyz": true, "stats": true, "metrics": true, "debug": true}

// isPage reports whether a path can be one of the app's pages.
func isPage(name string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(name, "/"), "/")
	return path.Ext(name) == "" && !serverPaths[first] && !strings.Contains(name, "/.")
}

// webTypes has the types of files that a build emits. The table of the operating system,
// which [mime.TypeByExtension] reads, may lack or change them.
var webTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json",
	".svg": "image/svg+xml", ".woff2": "font/woff2", ".wasm": "application/wasm",
}

func webContentType(name string, body []byte) string {
	extension := strings.ToLower(path.Ext(name))
	if known := webTypes[extension]; known != "" {
		return known
	}
	if known := mime.TypeByExtension(extension); known != "" {
		return known
	}
	return http.DetectContentType(body)
}
