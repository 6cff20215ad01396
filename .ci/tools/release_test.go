//go:build release

package ci

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// dist is where "make release-dry-run" has made the files of a release.
const dist = "../../backend/dist"

// find returns the file of a release that matches a pattern.
func find(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dist, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: got files %v, error %v", pattern, found, err)
	}
	return found[0]
}

// unpack extracts an archive, and returns its only folder.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xzf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	folders, err := os.ReadDir(dir)
	if err != nil || len(folders) != 1 {
		t.Fatalf("got %v, error %v, want one folder", folders, err)
	}
	return filepath.Join(dir, folders[0].Name())
}

// The programs of the archive run with no other file of the repository.
func TestRelease_ArchiveServesAppAndEvents(t *testing.T) {
	dir := unpack(t, find(t, "sluice_*_"+runtime.GOOS+"_"+runtime.GOARCH+".tar.gz"))
	out, err := exec.Command(filepath.Join(dir, "sluice"), "--version").Output()
	if version := regexp.MustCompile(`^\S+ \(commit [0-9a-f]+, \d{4}-\d\d-\d\dT\S+\)\n$`); err != nil || !version.Match(out) {
		t.Errorf("got version %q, error %v", out, err)
	}

	cmd := exec.Command("./sluice", "--demo", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--web-dir", "web")
	cmd.Dir, cmd.Env = dir, []string{}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url := strings.TrimSpace(strings.TrimPrefix(line, "Sluice is serving "))
	if err != nil || !strings.HasPrefix(url, "http") {
		t.Fatalf("got %q, error %v", line, err)
	}
	if page := firstLine(t, url+"/", "<title>"); !strings.Contains(page, "Sluice") {
		t.Errorf("got the page title %q", page)
	}
	firstLine(t, url+"/events", "data:")
}

// firstLine returns the first line of an answer that contains a text.
func firstLine(t *testing.T, url, text string) string {
	t.Helper()
	client := http.Client{Timeout: testTimeout}
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return lines.Text()
		}
	}
	t.Fatalf("%s: no line with %q (status %s, error %v)", url, text, res.Status, lines.Err())
	return ""
}

func TestRelease_HasAllPlatforms(t *testing.T) {
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range []string{
		"linux_amd64.tar.gz", "linux_arm64.tar.gz", "darwin_amd64.tar.gz", "darwin_arm64.tar.gz", "windows_amd64.zip", "windows_arm64.zip",
	} {
		if !strings.Contains(string(sums), "_"+platform+"\n") {
			t.Errorf("no archive for %s in the checksums", platform)
		}
	}
}

func TestRelease_ClientPackageIsComplete(t *testing.T) {
	dir := unpack(t, find(t, "sluice-client-*.tgz"))
	for _, name := range []string{"README.md", "dist/index.js", "dist/index.d.ts", "dist/react/index.js", "dist/ai-sdk/index.js", "dist/worker.js"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}
