package ci

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	codeBlock = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	// Programs that a test of commands does not start: they need more than a gateway and a Redis, or do not end.
	otherPrograms = regexp.MustCompile(`(?m)(^|[;&|] *)(make|docker|kubectl|npm|node|cd|install|systemctl|tar|caddy|tail|\(cd|backend/bin/\w+ [-\w]|OTEL)`)
	problemStatus = regexp.MustCompile(`"status": *[45]\d\d`)
)

// curlOnce runs curl, and ends a subscription after its first data.
const curlOnce = `#!/bin/bash
case " $* " in *" -N "*) ;; *) exec "$CURL" --fail-with-body -sS "$@" ;; esac
exec 3< <(exec "$CURL" -sS "$@")
while IFS= read -r line <&3; do
	echo "$line"
	case $line in data:*) kill $!; exit 0 ;; esac
done
exit 1
`

// The commands of the documentation work as they are written, on a gateway that opens all topics.
func TestDocs_CommandsWork(t *testing.T) {
	pages, err := filepath.Glob("../../backend/docs/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("got pages %v, error %v", pages, err)
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		script := commands(string(text))
		if script == "" {
			continue
		}
		ran++
		t.Run(filepath.Base(page), func(t *testing.T) {
			const secret = "c2VjcmV0LW9mLXRoZS10ZXN0LXRoYXQtaXMtbG9uZw=="
			redis := startRedis(t)
			s := startServer(t, "--redis-url", "redis://"+redis, "--allow-subscribe", "channel:*,stream:*,key:*",
				"--allow-publish", "channel:*,stream:*,key:*", "--jwt-secret", secret)
			bin := t.TempDir()
			_, port, _ := net.SplitHostPort(redis)
			for name, program := range map[string]string{
				"curl":      curlOnce,
				"redis-cli": fmt.Sprintf("#!/bin/sh\nPATH=${PATH#*:} exec redis-cli -e -p %s \"$@\"\n", port),
			} {
				if err := os.WriteFile(filepath.Join(bin, name), []byte(program), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("bash", "-euc", strings.NewReplacer(
				"localhost:4000", s.addr, "localhost:4001", s.admin, "$(openssl rand -base64 32)", secret, "backend/bin/server &", "",
			).Replace(script))
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "CURL="+curl)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	if ran < 8 {
		t.Errorf("only %d pages have commands", ran)
	}
}

// commands returns a script with the commands of a page that only need a gateway and a Redis. A command that
// is followed by a problem must fail.
func commands(page string) string {
	var script strings.Builder
	blocks := codeBlock.FindAllStringSubmatch(page, -1)
	for i, b := range blocks {
		kind, text := b[1], b[2]
		if kind != "sh" || otherPrograms.MatchString(text) {
			continue
		}
		if i+1 < len(blocks) && blocks[i+1][1] == "json" && problemStatus.MatchString(blocks[i+1][2]) {
			text = "! {\n" + text + "}\n"
		}
		script.WriteString("set -x\n" + text)
	}
	return script.String()
}

// startRedis starts a Redis, and returns its host:port. It is killed when the test ends.
func startRedis(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	_ = l.Close()
	cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatal("Redis does not start")
		}
	}
}
