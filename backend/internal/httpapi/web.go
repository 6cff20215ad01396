package httpapi

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// webApp serves the built web app from a directory, and its page for every address
// that a browser may show in it. Without a directory nothing is found.
func webApp(dir string) gin.HandlerFunc {
	if dir == "" {
		return func(c *gin.Context) {
			writeProblem(c, http.StatusNotFound, "nothing is here; events are at /events, and the web app at / with --web-dir")
		}
	}
	app := newFiles(dir)
	return func(c *gin.Context) {
		if c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
			c.Header("Allow", "GET, HEAD")
			methodNotAllowed(c)
			return
		}
		name := c.Request.URL.Path
		if leadsUp(name) {
			writeProblem(c, http.StatusBadRequest, "the path has .. in it; ask for the file itself")
			return
		}
		f, err := app.read(name)
		caching := "no-cache"
		switch {
		case err == nil && strings.HasPrefix(name, "/assets/"):
			caching = "public, max-age=31536000, immutable" // the build names assets after their content
		case err != nil && path.Ext(name) == "":
			f, err = app.read("/index.html")
		}
		if err != nil {
			writeProblem(c, http.StatusNotFound, "no such file in the web app")
			return
		}
		c.Header("Cache-Control", caching)
		// gin has set 404 as the status to be sent if nothing else is.
		c.Status(http.StatusOK)
		http.ServeContent(c.Writer, c.Request, f.name, f.modified, bytes.NewReader(f.content))
	}
}

// leadsUp reports whether a path has .. for one of its parts.
func leadsUp(name string) bool {
	parts := strings.FieldsFunc(name, func(c rune) bool { return c == '/' || c == '\\' })
	return slices.Contains(parts, "..")
}

// files holds the files of a directory in memory, as far as they were asked for: answers
// that are not taken, however many there are, keep none open.
type files struct {
	dir http.Dir // refuses paths that leave it

	mu   sync.Mutex
	held map[string]file
}

// file is one as it was when it was last modified.
type file struct {
	name     string
	modified time.Time
	content  []byte
}

func newFiles(dir string) *files {
	return &files{dir: http.Dir(dir), held: make(map[string]file)}
}

// read returns a regular file as it is now, from the disk only where it has changed. At
// most one is open at a time, however many are asked for.
func (f *files) read(name string) (file, error) {
	name = path.Clean(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	opened, err := f.dir.Open(name)
	if err != nil {
		return file{}, err
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return file{}, err
	}
	if !info.Mode().IsRegular() {
		return file{}, fs.ErrNotExist
	}
	if held, ok := f.held[name]; ok && held.modified.Equal(info.ModTime()) && int64(len(held.content)) == info.Size() {
		return held, nil
	}
	content, err := io.ReadAll(opened)
	if err != nil {
		return file{}, err
	}
	now := file{name, info.ModTime(), content}
	f.held[name] = now
	return now, nil
}
