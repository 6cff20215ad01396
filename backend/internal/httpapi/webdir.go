package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strings"
)

// maxWebApp bounds the size of the web app, which is held in memory.
const maxWebApp = 256 << 20

// readWebDir returns the regular files of a directory by their paths in it, after a slash. It leaves out
// names that begin with a dot, and symbolic links that lead out of the directory.
func readWebDir(dir string, log *slog.Logger) (map[string]webFile, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files := make(map[string]webFile)
	room := int64(maxWebApp)
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(path.Base(name), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		// Stat does not open the file: opening a FIFO would block.
		if info, err := root.Stat(name); err != nil || !info.Mode().IsRegular() {
			log.Warn("file of --web-dir left out: it is not a regular file in the directory", "file", name, "error", err)
			return nil
		}
		file, err := readWebFile(root, name, room)
		room -= int64(len(file.body))
		files["/"+name] = file
		return err
	})
	return files, err
}

// readWebFile reads a file of at most room bytes.
func readWebFile(root *os.Root, name string, room int64) (webFile, error) {
	file, err := root.Open(name)
	if err != nil {
		return webFile{}, err
	}
	defer file.Close()
	body, err := io.ReadAll(io.LimitReader(file, room+1))
	if err != nil {
		return webFile{}, err
	}
	if int64(len(body)) > room {
		return webFile{}, fmt.Errorf("its files are larger than %d MiB; name the directory of the built web app", maxWebApp>>20)
	}
	sum := sha256.Sum256(body)
	return webFile{body, `"` + hex.EncodeToString(sum[:16]) + `"`}, nil
}
