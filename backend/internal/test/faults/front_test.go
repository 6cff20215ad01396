package faults_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/internal/event"
	"sluice/internal/test/gatewaytest"
	"sluice/internal/test/proctest"
)

// site is the host name in the example configurations.
const site = "sluice.example.com"

// front is a reverse proxy for gateways with the example configuration of backend/deploy.
type front struct {
	url          string
	http1, http2 *http.Client
	from         func(address string) *http.Client // returns a client with a loopback address
	accessLog    string                            // path
	stop         func() string                     // ends the proxy and returns its error log
}

type startFront func(t *testing.T, gateways []*gatewaytest.Gateway) *front

var fronts = map[string]startFront{"nginx": startNginx, "caddy": startCaddy}

// eachFront runs a test with each proxy that has an example.
func eachFront(t *testing.T, test func(t *testing.T, start startFront)) {
	t.Parallel()
	for name, start := range fronts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start)
		})
	}
}

func startNginx(t *testing.T, gateways []*gatewaytest.Gateway) *front {
	t.Helper()
	return runFront(t, func(dir string, port int) *exec.Cmd {
		example(t, "nginx/sluice.conf", filepath.Join(dir, "sluice.conf"), map[string]string{
			"127.0.0.1:4000":              gateways[0].Addr(),
			"127.0.0.1:4002":              gateways[1].Addr(),
			"listen 443 ":                 fmt.Sprintf("listen 127.0.0.1:%d ", port),
			"listen 80;":                  fmt.Sprintf("listen unix:%s/http;", dir), // no test needs it
			"/etc/ssl/certs/sluice.pem":   dir + "/cert.pem",
			"/etc/ssl/private/sluice.key": dir + "/key.pem",
			"/var/log/nginx/sluice.log":   dir + "/access.log",
			"/var/log/nginx/error.log":    "stderr",
		})
		// The rest of nginx.conf as in Debian, with files in a directory of the test.
		var temp strings.Builder
		for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			fmt.Fprintf(&temp, "%s_temp_path %s/%s;\n", what, dir, what)
		}
		writeFile(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`
			daemon off; master_process off; pid %[1]s/pid; error_log stderr;
			events { worker_connections 1024; }
			http { %[2]s include %[1]s/sluice.conf; }`, dir, temp.String()))
		return exec.Command(program(t, "nginx", "/usr/sbin/nginx"), "-p", dir, "-c", dir+"/nginx.conf")
	})
}

func startCaddy(t *testing.T, gateways []*gatewaytest.Gateway) *front {
	t.Helper()
	return runFront(t, func(dir string, port int) *exec.Cmd {
		example(t, "caddy/Caddyfile", filepath.Join(dir, "Caddyfile"), map[string]string{
			"127.0.0.1:4000": gateways[0].Addr(),
			"127.0.0.1:4002": gateways[1].Addr(),
			site + " {": fmt.Sprintf("{\nadmin off\nauto_https off\n}\nhttps://%s:%d {\nbind 127.0.0.1\ntls %[3]s/cert.pem %[3]s/key.pem",
				site, port, dir),
			"/var/log/caddy/sluice.log": dir + "/access.log",
		})
		cmd := exec.Command(program(t, "caddy"), "run", "--config", dir+"/Caddyfile")
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		return cmd
	})
}

// program returns the path of an installed program.
func program(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("this test needs %s in PATH: install the package of that name", names[0])
	return ""
}

// example writes an example configuration with the addresses and paths of this test.
func example(t *testing.T, name, to string, replace map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for from, to := range replace {
		if !strings.Contains(string(text), from) {
			t.Fatalf("%s has no %q", name, from)
		}
		pairs = append(pairs, from, to)
	}
	// In one pass: a replacement may contain a text that is to be replaced.
	writeFile(t, to, strings.NewReplacer(pairs...).Replace(string(text)))
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// runFront runs a proxy on a new port, with its files in a new directory and a certificate in
// cert.pem and key.pem. The proxy is killed when the test ends.
func runFront(t *testing.T, command func(dir string, port int) *exec.Cmd) *front {
	t.Helper()
	dir := t.TempDir()
	roots := writeCertificate(t, dir)
	log := new(proctest.Output)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the proxy:\n%s", log.String())
		}
	})
	for range 3 { // another process may take the port first
		port := freePort(t)
		f := &front{
			url:       fmt.Sprintf("https://%s:%d", site, port),
			http1:     newTLSClient(t, roots, port, "127.0.0.1", false),
			http2:     newTLSClient(t, roots, port, "127.0.0.1", true),
			from:      func(address string) *http.Client { return newTLSClient(t, roots, port, address, true) },
			accessLog: filepath.Join(dir, "access.log"),
		}
		cmd := command(dir, port)
		cmd.Stdout, cmd.Stderr = log, log
		process := proctest.Start(t, cmd)
		f.stop = func() string {
			process.End(syscall.SIGKILL)
			return log.String()
		}
		if f.answers(process.Exited) {
			return f
		}
	}
	t.Fatal("the proxy does not answer")
	return nil
}

// answers waits until the proxy answers or has exited.
func (f *front) answers(exited <-chan struct{}) bool {
	for deadline := time.Now().Add(testTimeout); time.Now().Before(deadline); {
		response, err := f.http2.Get(f.url + "/healthz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-exited:
			return false
		case <-time.After(poll):
		}
	}
	return false
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// writeCertificate writes cert.pem and key.pem for the site.
func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{site}, NotAfter: time.Now().Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	writeFile(t, filepath.Join(dir, "cert.pem"), string(certPEM))
	writeFile(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return roots
}

// newTLSClient returns a client that connects to the site on this machine from a given address.
func newTLSClient(t *testing.T, roots *x509.CertPool, port int, from string, http2 bool) *http.Client {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: http2,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", port))
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// While the gateways are replaced one by one, their clients reconnect through the same proxy to the
// other gateway and resume there.
func TestFront_RollingRestartLosesNothing(t *testing.T) {
	eachFront(t, func(t *testing.T, start startFront) {
		r := newRig(t, setup{front: start})
		for _, g := range r.gateways {
			g.Drain()
			r.settle() // with the other one
			g.Restart()
			r.settle()
		}
		sums := r.finish()
		if s := sums[event.Stream]; s.Announced > 0 || s.Gaps > 0 {
			t.Errorf("got %d gaps in streams, %d missing entries there", s.Gaps, s.Announced)
		}
		for _, s := range r.subscribers {
			if s.reconnects.Load() == 0 {
				t.Errorf("%s never moved", s.name)
			}
		}
	})
}

func TestFront_ForwardsEventsAndDisconnects(t *testing.T) {
	eachFront(t, func(t *testing.T, start startFront) {
		const jwtSecret = "a secret of the tests, and long enough"
		secret, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(jwtSecret))
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, setup{front: start, gateway: []string{"--allow-publish", "channel:*", "--jwt-secret", jwtSecret}})
		r.finish()
		for _, s := range r.subscribers {
			s.leave()
		}
		f := r.front
		for name, client := range map[string]*http.Client{"HTTP/1.1": f.http1, "HTTP/2.0": f.http2} {
			response, err := client.Get(f.url + "/events?channel=a&access_token=" + secret)
			if err != nil {
				t.Fatal(err)
			}
			if response.Proto != name || response.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("got response %s %v", response.Proto, response.Header)
			}
			lines := bufio.NewReader(response.Body)
			awaitLine(t, lines, "event: stream.open")
			for _, payload := range []string{"small", strings.Repeat("x", 1<<20)} {
				answer, err := client.Post(f.url+"/events?channel=a", "text/plain", strings.NewReader(payload))
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusOK {
					t.Fatalf("publishing gives %s", answer.Status)
				}
				awaitLine(t, lines, "data: "+payload) // no later data pushes it out of a buffer
			}
			response.Body.Close()
			for _, g := range r.gateways {
				await(t, "the gateway knows that the client has left", func() bool { return g.Connections() == 0 })
			}
		}
		text, err := os.ReadFile(f.accessLog)
		if err != nil || !strings.Contains(string(text), "/events") || strings.Contains(string(text), secret) {
			t.Errorf("the access log is empty or contains a token: %v\n%s", err, text)
		}
	})
}

// If a proxy is not trusted, all its clients have its address.
func TestFront_ForwardsClientAddresses(t *testing.T) {
	eachFront(t, func(t *testing.T, start startFront) {
		g := gatewaytest.Start(t, "--max-connections-per-ip", "1", "--trusted-proxies", "127.0.0.1")
		f := start(t, []*gatewaytest.Gateway{g, g})
		for _, tt := range []struct{ from, begins string }{
			{"127.0.0.2", "event: stream.open"},
			{"127.0.0.2", "event: stream.close"}, // the limit of one per address is reached
			{"127.0.0.3", "event: stream.open"},
			{"127.0.0.3", "event: stream.close"},
		} {
			request, err := http.NewRequest(http.MethodGet, f.url+"/events", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept", "text/event-stream")
			request.Header.Set("X-Forwarded-For", "203.0.113.1") // must be ignored
			response, err := f.from(tt.from).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { response.Body.Close() }) // it counts against the limit until then
			awaitLine(t, bufio.NewReader(response.Body), tt.begins)
		}
	})
}

// awaitLine reads up to a line.
func awaitLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("want %.100q, got error %v", want, err)
		}
		if line == want+"\n" {
			return
		}
	}
}

// An EventSource ends permanently on any status but 200. The proxy's error log of such a failure
// may contain the request.
func TestFront_AsksClientsToRetryWithoutGateway(t *testing.T) {
	eachFront(t, func(t *testing.T, start startFront) {
		const secret, page = "a-token-of-the-tests", "https://app.example.com"
		r := newRig(t, setup{front: start, kinds: []event.Kind{event.Channel}})
		for _, g := range r.gateways {
			g.Kill()
		}
		for accept, status := range map[string]int{"text/event-stream": http.StatusOK, "*/*": http.StatusServiceUnavailable} {
			request, err := http.NewRequest(http.MethodGet, r.front.url+"/events?access_token="+secret, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept", accept)
			request.Header.Set("Origin", page)
			response, err := r.front.http2.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != status {
				t.Errorf("Accept %s: got status %s", accept, response.Status)
			}
			stream := strings.HasPrefix(string(text), "retry: ") && strings.HasSuffix(string(text), "\nevent: stream.close\ndata: {\"reason\":\"unavailable\"}\n\n")
			if stream != (status == http.StatusOK) {
				t.Errorf("Accept %s: got response %q", accept, text)
			}
			allowed, credentials := response.Header.Get("Access-Control-Allow-Origin"), response.Header.Get("Access-Control-Allow-Credentials")
			if stream && (allowed != page || credentials != "true") {
				t.Errorf("page %s: an EventSource with credentials rejects Allow-Origin %q, Allow-Credentials %q", page, allowed, credentials)
			}
		}
		for _, g := range r.gateways {
			g.Restart()
		}
		r.finish()
		if told := r.front.stop(); strings.Contains(told, secret) {
			t.Errorf("the error log contains a token:\n%s", told)
		}
	})
}
