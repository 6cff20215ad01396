package httpapi

import (
	"net/http"
	"path"
	"path/filepath"
	"strings"

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
	root := http.Dir(dir) // refuses paths that leave it
	files := http.FileServer(root)
	return func(c *gin.Context) {
		r := c.Request
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			c.Header("Allow", "GET, HEAD")
			methodNotAllowed(c)
			return
		}
		// gin has set 404 as the status to be sent if nothing else is.
		c.Status(http.StatusOK)
		switch {
		case strings.HasPrefix(r.URL.Path, "/assets/") && isFile(root, r.URL.Path):
			// The build names assets after their content.
			c.Header("Cache-Control", "public, max-age=31536000, immutable")
			files.ServeHTTP(c.Writer, r)
		case r.URL.Path != "/index.html" && isFile(root, r.URL.Path):
			files.ServeHTTP(c.Writer, r)
		case path.Ext(r.URL.Path) == "" || r.URL.Path == "/index.html":
			c.Header("Cache-Control", "no-cache")
			http.ServeFile(c.Writer, r, filepath.Join(dir, "index.html"))
		default:
			writeProblem(c, http.StatusNotFound, "no such file in the web app")
		}
	}
}

func isFile(root http.FileSystem, name string) bool {
	f, err := root.Open(path.Clean(name))
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}
