package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/httpapi"
	"sluice/internal/test/gatewaytest"
	"sluice/internal/test/proctest"
)

// command returns a command that runs the program without SLUICE_ settings of this process.
func command(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *proctest.Output) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, gatewaytest.Program(), args...)
	stdout, stderr = new(proctest.Output), new(proctest.Output)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

func TestProgram_HelpListsAllSettings(t *testing.T) {
	t.Parallel()
	cmd, stdout, _ := command(t, "--help")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"--addr", "SLUICE_ADDR", ":4000", "--admin-addr", "SLUICE_ADMIN_ADDR", "127.0.0.1:4001", "--redis-url", "REDIS_URL",
		"--web-dir", "SLUICE_WEB_DIR", "--demo", "SLUICE_DEMO", "--default-topics", "SLUICE_DEFAULT_TOPICS", "channel:updates",
		"--allow-subscribe", "SLUICE_ALLOW_SUBSCRIBE", "--allow-publish", "SLUICE_ALLOW_PUBLISH", "--cors-origins", "SLUICE_CORS_ORIGINS",
		"--tls-cert", "SLUICE_TLS_CERT", "--tls-key", "SLUICE_TLS_KEY", "--heartbeat", "SLUICE_HEARTBEAT", "15s", "--retry", "SLUICE_RETRY", "2s",
		"--history-events", "SLUICE_HISTORY_EVENTS", "4096", "--history-bytes", "SLUICE_HISTORY_BYTES", "4MiB", "--linger", "SLUICE_LINGER", "2m",
		"--jwt-secret", "SLUICE_JWT_SECRET", "--jwks-file", "SLUICE_JWKS_FILE", "--jwks-url", "SLUICE_JWKS_URL",
		"--max-connections", "SLUICE_MAX_CONNECTIONS", "--max-connections-per-ip", "SLUICE_MAX_CONNECTIONS_PER_IP",
		"--max-topics", "SLUICE_MAX_TOPICS", "65536",
		"--trusted-proxies", "SLUICE_TRUSTED_PROXIES", "--publish-rate", "SLUICE_PUBLISH_RATE",
		"--jwt-secret-file", "SLUICE_JWT_SECRET_FILE", "--log-format", "SLUICE_LOG_FORMAT", "--log-level", "SLUICE_LOG_LEVEL", "--version",
		"--write-timeout", "SLUICE_WRITE_TIMEOUT", "10s", "--drain", "SLUICE_DRAIN",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("--help does not have %s", want)
		}
	}
}

func TestProgram_BadSettingIsOneLine(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	free := []string{"--addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0"}
	for _, tt := range []struct {
		name, arg string
		want      string // substring of the error line
		env       bool
	}{
		{"unknown flag", "--nonsense", "nonsense", false},
		{"not a duration", "--heartbeat=soon", "heartbeat", false},
		{"negative duration", "--linger=-1s", "linger", false},
		{"zero heartbeat", "--heartbeat=0s", "heartbeat", false},
		{"not a size", "--history-bytes=much", "history-bytes", false},
		{"no history", "--history-events=0", "history-events", false},
		{"not a topic", "--allow-subscribe=updates", "updates", false},
		{"glob on a stream", "--default-topics=stream:a*", "stream", false},
		{"no address", "--addr=", "--addr", false},
		{"no admin address", "--admin-addr=", "--admin-addr", false},
		{"no default topics", "--default-topics=", "default-topics", false},
		{"more default topics than a subscription may have", "--default-topics=channel:" + strings.Join(numbers(1, httpapi.MaxTopics+1), ",channel:"), "default-topics", false},
		{"reserved default topic", "--default-topics=channel:updates,channel:__sluice__:marks", "default-topics", false},
		{"not an origin", "--cors-origins=example.com/app", "cors-origins", false},
		{"no origins", "--cors-origins=", "cors-origins", false},
		{"empty origins in a variable", "SLUICE_CORS_ORIGINS=", "cors-origins", true},
		{"glob of origins", "--cors-origins=https://*.example.com", "cors-origins", false},
		{"all origins and one", "--cors-origins=*,https://example.com", "cors-origins", false},
		{"origin without a host", "--cors-origins=https://:443", "cors-origins", false},
		{"origin with a path", "--cors-origins=https://example.com/", "cors-origins", false},
		{"short secret", "--jwt-secret=hunter2", "jwt-secret", false},
		{"short secret in a variable", "SLUICE_JWT_SECRET=hunter2", "jwt-secret", true},
		{"two secrets", "--jwt-secret=hunter2 --jwt-secret-file=settings_test.go", "jwt-secret-file", false},
		{"no such secret file", "--jwt-secret-file=/nowhere/secret", "jwt-secret-file", false},
		{"log format", "--log-format=xml", "log-format", false},
		{"log level", "--log-level=loud", "log-level", false},
		{"password that parses as a port", "--redis-url=redis://:57#hunter2@localhost", "percent-encode", false},
		{"no such key file", "--jwks-file=/nowhere/jwks.json", "jwks-file", false},
		{"key file that is not JSON", "--jwks-file=settings_test.go", "jwks-file", false},
		{"key URL without a scheme", "--jwks-url=keys.example.com/hunter2", "jwks-url", false},
		{"key URL with another scheme", "--jwks-url=ftp://:hunter2@localhost/", "jwks-url", false},
		{"two key sets", "--jwks-file=a --jwks-url=http://localhost", "jwks-file", false},
		{"negative connections", "--max-connections=-1", "max-connections", false},
		{"negative connections of one address", "--max-connections-per-ip=-1", "max-connections-per-ip", false},
		{"negative topics", "--max-topics=-1", "max-topics", false},
		{"fewer topics than the default ones", "--max-topics=1 --default-topics=channel:a,channel:b", "max-topics", false},
		{"a glob that matches nothing", "--allow-subscribe=channel:[]", "matches nothing", false},
		{"negative rate", "--publish-rate=-1", "publish-rate", false},
		{"not a proxy", "--trusted-proxies=10.0.0.0/8,proxy.example.com", "trusted-proxies", false},
		{"key without certificate", "--tls-key=key.pem", "tls-cert", false},
		{"no such directory", "--web-dir=/nowhere", "web-dir", false},
		{"not a Redis address", "--redis-url=http://:hunter2@localhost", "redis-url", false},
		{"port that is not a number", "--redis-url=redis://:hunter2@localhost:port", "redis-url", false},
		{"port above 65535", "--redis-url=redis://:hunter2@localhost:99999", "redis-url", false},
		{"port of another node above 65535", "--redis-url=redis-cluster://localhost:7000?addr=localhost:99999", "redis-url", false},
		{"address in use", "--addr=" + taken.Addr().String(), "addr", false},
		{"admin address in use", "--admin-addr=" + taken.Addr().String(), "admin-addr", false},
		{"variable", "SLUICE_HEARTBEAT=soon", "heartbeat", true},
		{"Redis URL in a variable", "REDIS_URL=ftp://:hunter2@localhost", "redis-url", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := free
			if !tt.env {
				args = append(append([]string{}, free...), strings.Fields(tt.arg)...)
			}
			cmd, stdout, stderr := command(t, args...)
			if tt.env {
				cmd.Env = append(os.Environ(), tt.arg)
			}
			if err := cmd.Run(); err == nil {
				t.Fatal("got exit status 0, want an error")
			}
			line := strings.TrimSuffix(stderr.String(), "\n")
			if line == "" || strings.Contains(line, "\n") || !strings.Contains(strings.ToLower(line), tt.want) {
				t.Errorf("got %q, want one line with %q", line, tt.want)
			}
			if strings.Contains(stdout.String()+line, "hunter2") {
				t.Errorf("the output contains the password: %q", line)
			}
		})
	}
}

func TestProgram_SIGTERMDrains(t *testing.T) {
	t.Parallel()
	cmd, stdout, stderr := command(t, "--addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0", "--drain=200ms", "--demo")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`http://\S+`)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("output of the program:\n%s%s", stdout.String(), stderr.String())
		}
	})
	eventually(t, "a URL", func() bool { return address.MatchString(stdout.String()) })
	g := start(t) // only its HTTP client is used
	g.url = strings.Replace(address.FindString(stdout.String()), "localhost", "127.0.0.1", 1)
	s := g.subscribe("")
	if f := s.next(); f.name != "" || !strings.Contains(f.data, `"value":`) {
		t.Errorf("got demo event %+v", f)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	frames := s.end()
	if last := frames[len(frames)-1]; last.name != "stream.close" {
		t.Errorf("the stream ends with %+v", last)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("got error %v:\n%s", err, stderr.String())
	}
}

func TestSettings_Defaults(t *testing.T) {
	t.Parallel()
	cfg, err := parseFlags()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Heartbeat != 15*time.Second || cfg.Retry != 2*time.Second || cfg.HistoryEvents != 4096 || cfg.HistoryBytes != 4<<20 ||
		cfg.Linger != 2*time.Minute || cfg.WriteTimeout != 10*time.Second || cfg.Drain != 10*time.Second || cfg.Demo {
		t.Errorf("got defaults %+v", cfg)
	}
}

func TestServer_URL(t *testing.T) {
	t.Parallel()
	g := start(t)
	if a := g.get("/healthz"); a.status != http.StatusOK { // the server is ready after this
		t.Fatalf("/healthz: got status %d", a.status)
	}
	address := g.server.URL()
	if !strings.HasPrefix(address, "http://") {
		t.Fatalf("got URL %s for a server without TLS", address)
	}
	if a := g.get(address + "/healthz"); a.status != http.StatusOK {
		t.Errorf("%s: got status %d", address, a.status)
	}
}
