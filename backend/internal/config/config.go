// Package config reads the server's flags and environment variables.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/dustin/go-humanize"

	"sluice/internal/event"
)

// Config holds the settings of the server. Each is a flag and an environment variable;
// --help prints them all.
type Config struct {
	Addr      string `default:":4000" env:"SLUICE_ADDR" help:"Address to serve on."`
	AdminAddr string `default:"127.0.0.1:4001" env:"SLUICE_ADMIN_ADDR" help:"Address to serve metrics and profiles on."`
	RedisURL  string `env:"REDIS_URL" placeholder:"URL" help:"Redis to follow: redis://, rediss://, unix://, redis-sentinel:// or redis-cluster://. Without it, the server uses a broker in its own process."`
	RedisCA   string `name:"redis-ca" env:"SLUICE_REDIS_CA" placeholder:"FILE" help:"PEM file of the certificate authorities to trust for rediss://, instead of those of the system."`
	WebDir    string `env:"SLUICE_WEB_DIR" placeholder:"DIR" help:"Directory of the built web app, served at /."`
	Demo      bool   `env:"SLUICE_DEMO" help:"Publish the demo feeds, and allow their topics to anyone."`

	DefaultTopics  Topics      `default:"channel:updates" env:"SLUICE_DEFAULT_TOPICS" placeholder:"TOPIC,…" help:"Topics of a subscription that names no topics (default ${default})."`
	AllowSubscribe GrantTopics `default:"channel:updates" env:"SLUICE_ALLOW_SUBSCRIBE" placeholder:"TOPIC,…" help:"Topics, globs included, that anyone may subscribe to (default ${default}, which a list replaces)."`
	AllowPublish   GrantTopics `env:"SLUICE_ALLOW_PUBLISH" placeholder:"TOPIC,…" help:"Topics, globs included, that anyone may publish to."`
	CORSOrigins    Origins     `name:"cors-origins" default:"*" env:"SLUICE_CORS_ORIGINS" placeholder:"ORIGIN,…" help:"Origins whose pages may connect; * for all origins, without credentials (default ${default})."`

	JWTSecret     string `name:"jwt-secret" env:"SLUICE_JWT_SECRET" placeholder:"SECRET" help:"Secret of at least 32 bytes that verifies tokens signed with HS256. Prefer the environment variable: other users of the machine can see flags."`
	JWTSecretFile string `name:"jwt-secret-file" env:"SLUICE_JWT_SECRET_FILE" placeholder:"FILE" help:"File with the secret of --jwt-secret; a line break at its end is ignored."`
	JWKSFile      string `name:"jwks-file" env:"SLUICE_JWKS_FILE" placeholder:"FILE" help:"File with a JSON Web Key Set that verifies tokens signed with RS256, ES256 or EdDSA."`
	JWKSURL       string `name:"jwks-url" env:"SLUICE_JWKS_URL" placeholder:"URL" help:"URL (http or https) of such a JSON Web Key Set; it is loaded periodically."`

	MaxConnections      int       `default:"0" env:"SLUICE_MAX_CONNECTIONS" help:"Maximum number of open subscriptions; 0 for as many as the limit of open files allows."`
	MaxConnectionsPerIP int       `name:"max-connections-per-ip" default:"0" env:"SLUICE_MAX_CONNECTIONS_PER_IP" help:"Maximum number of open subscriptions from one address; 0 for no limit."`
	MaxTopics           int       `default:"65536" env:"SLUICE_MAX_TOPICS" help:"Maximum number of followed topics; at the limit, topics without subscribers are released first. 0 for no limit."`
	TrustedProxies      Addresses `env:"SLUICE_TRUSTED_PROXIES" placeholder:"ADDRESS,…" help:"Addresses and CIDR blocks of proxies whose X-Forwarded-For header is trusted for the client's address."`
	PublishRate         int       `default:"0" env:"SLUICE_PUBLISH_RATE" help:"Maximum number of events per second that one token or address may publish over HTTP, on average over ten seconds; 0 for no limit."`

	TLSCert string `name:"tls-cert" env:"SLUICE_TLS_CERT" placeholder:"FILE" help:"PEM file of the certificate chain. Without it, the server serves plain HTTP/1.1 and h2c."`
	TLSKey  string `name:"tls-key" env:"SLUICE_TLS_KEY" placeholder:"FILE" help:"PEM file of the private key."`

	Heartbeat     time.Duration `default:"15s" env:"SLUICE_HEARTBEAT" help:"Time without data on a connection after which stream.ping is sent."`
	Retry         time.Duration `default:"2s" env:"SLUICE_RETRY" help:"Shortest reconnection time sent to clients; the longest is twice as long."`
	HistoryEvents int           `default:"4096" env:"SLUICE_HISTORY_EVENTS" help:"Maximum number of events in memory for each topic."`
	HistoryBytes  Bytes         `default:"4MiB" env:"SLUICE_HISTORY_BYTES" help:"Maximum memory for the events of each topic."`
	KeyBytes      Bytes         `default:"64MiB" env:"SLUICE_KEY_BYTES" help:"Maximum memory for the values of each key topic."`
	TopicMemory   Bytes         `default:"1GiB" env:"SLUICE_TOPIC_MEMORY" help:"Maximum memory for all topics together: journals, values and replays in progress."`
	Linger        time.Duration `default:"2m" env:"SLUICE_LINGER" help:"Time for which a topic without subscribers is still followed."`
	WriteTimeout  time.Duration `default:"10s" env:"SLUICE_WRITE_TIMEOUT" help:"Time without accepted data after which a client is disconnected."`
	Drain         time.Duration `default:"10s" env:"SLUICE_DRAIN" help:"Time over which connections are closed after SIGTERM. The server accepts requests until its end."`

	LogFormat string           `enum:"text,json" default:"text" env:"SLUICE_LOG_FORMAT" help:"Format of the log: text or json."`
	LogLevel  slog.Level       `default:"info" env:"SLUICE_LOG_LEVEL" help:"Minimum level of log lines: debug, info, warn or error."`
	Version   kong.VersionFlag `help:"Print the version and exit."`
}

// Logger returns a logger that writes to w with the configured format and level.
func (c *Config) Logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// decodeList parses each part of a comma-separated value, without surrounding spaces.
func decodeList[T any](ctx *kong.DecodeContext, name string, parse func(string) (T, error)) ([]T, error) {
	var text string
	if err := ctx.Scan.PopValueInto(name, &text); err != nil {
		return nil, err
	}
	var list []T
	for _, part := range kong.SplitEscaped(text, ',') {
		item, err := parse(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

// Addresses is a comma-separated list of addresses and CIDR blocks.
type Addresses []string

// Decode implements [kong.MapperValue].
func (a *Addresses) Decode(ctx *kong.DecodeContext) (err error) {
	*a, err = decodeList(ctx, "addresses", func(s string) (string, error) { return s, nil })
	return err
}

// Topics is a comma-separated list of topics that can be followed.
type Topics []event.Topic

// Decode implements [kong.MapperValue].
func (t *Topics) Decode(ctx *kong.DecodeContext) (err error) {
	*t, err = decodeList(ctx, "topics", event.ParseTopic)
	return err
}

// GrantTopics is a comma-separated list of topics for permissions; see [event.NewGrantTopic].
type GrantTopics []event.Topic

// Decode implements [kong.MapperValue].
func (t *GrantTopics) Decode(ctx *kong.DecodeContext) (err error) {
	*t, err = decodeList(ctx, "topics", event.ParseGrantTopic)
	return err
}

// Origins is a comma-separated list of origins as browsers send them; * is any origin.
type Origins []string

// Decode implements [kong.MapperValue].
func (o *Origins) Decode(ctx *kong.DecodeContext) (err error) {
	*o, err = decodeList(ctx, "origins", parseOrigin)
	return err
}

// defaultPorts holds the ports that browsers omit from an origin, by scheme.
var defaultPorts = map[string]string{"http": ":80", "https": ":443"}

// parseOrigin returns an origin as browsers send it (RFC 6454, section 6.2). Apps have schemes
// such as capacitor://localhost.
func parseOrigin(s string) (string, error) {
	if s == "*" {
		return s, nil
	}
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || u.Scheme == "" || u.Hostname() == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host}) {
		return "", fmt.Errorf("%q is not an origin such as https://example.com", s)
	}
	if strings.Contains(u.Host, "*") {
		return "", fmt.Errorf("%q has a *, which matches no origin: name each origin, or use * alone for all", s)
	}
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, defaultPorts[u.Scheme]), nil
}

// Bytes is a size such as 4MiB.
type Bytes int

// minTopicMemory is the minimum of --topic-memory.
const minTopicMemory Bytes = 16 << 20

// UnmarshalText implements [encoding.TextUnmarshaler].
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<40 {
		return fmt.Errorf("%q is not a size such as 4MiB", text)
	}
	*b = Bytes(n)
	return nil
}

// Validate checks the settings. kong calls it after all values are set.
func (c *Config) Validate() error {
	switch {
	case c.Addr == "":
		return errors.New("--addr needs at least a port, such as :4000")
	case c.AdminAddr == "": // net would listen on all interfaces
		return errors.New("--admin-addr needs an address, such as 127.0.0.1:4001")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key must be set together")
	case c.RedisCA != "" && c.RedisURL == "":
		return errors.New("--redis-ca needs --redis-url")
	case c.TopicMemory < minTopicMemory:
		return fmt.Errorf("--topic-memory must be at least %d MiB", minTopicMemory>>20)
	case len(c.DefaultTopics) == 0:
		return errors.New("--default-topics needs at least one topic")
	case len(c.CORSOrigins) == 0:
		return errors.New("--cors-origins needs at least one origin, or * for all")
	case len(c.CORSOrigins) > 1 && slices.Contains(c.CORSOrigins, "*"):
		return errors.New("--cors-origins: * cannot be combined with other origins")
	}
	if err := cmp.Or(c.validateTokens(), c.validateMinimums(), c.validateLimits()); err != nil {
		return err
	}
	if c.WebDir != "" {
		if _, err := os.Stat(c.WebDir + "/index.html"); err != nil {
			return fmt.Errorf("--web-dir: %w; build the web app first", err)
		}
	}
	return nil
}

// minSecret is the minimum length of a secret in bytes: the length of the hash (RFC 7518,
// section 3.2). A shorter secret can be found by brute force with one token.
const minSecret = 32

// validateTokens checks the settings of tokens and reads --jwt-secret-file. Its errors do not
// contain the values, which may be secrets.
func (c *Config) validateTokens() error {
	if c.JWTSecretFile != "" {
		if c.JWTSecret != "" {
			return errors.New("--jwt-secret and --jwt-secret-file cannot be combined")
		}
		secret, err := os.ReadFile(c.JWTSecretFile)
		if err != nil {
			return fmt.Errorf("--jwt-secret-file: %w", err)
		}
		c.JWTSecret = strings.TrimRight(string(secret), "\r\n")
		if c.JWTSecret == "" {
			return errors.New("--jwt-secret-file is empty")
		}
	}
	if c.JWTSecret != "" && len(c.JWTSecret) < minSecret {
		return fmt.Errorf("--jwt-secret has %d bytes and needs at least %d; make one with: openssl rand -base64 32", len(c.JWTSecret), minSecret)
	}
	if c.JWKSFile != "" && c.JWKSURL != "" {
		return errors.New("--jwks-file and --jwks-url cannot be combined")
	}
	if c.JWKSURL != "" {
		u, err := url.Parse(c.JWKSURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("--jwks-url is not a URL such as https://example.com/.well-known/jwks.json")
		}
	}
	return nil
}

func (c *Config) validateMinimums() error {
	return cmp.Or(
		atLeast("--history-events", c.HistoryEvents, 1),
		atLeast("--history-bytes", c.HistoryBytes, 1),
		atLeast("--max-connections", c.MaxConnections, 0),
		atLeast("--max-connections-per-ip", c.MaxConnectionsPerIP, 0),
		atLeast("--max-topics", c.MaxTopics, 0),
		atLeast("--publish-rate", c.PublishRate, 0),
		atLeast("--heartbeat", c.Heartbeat, 100*time.Millisecond),
		atLeast("--retry", c.Retry, time.Millisecond),
		atLeast("--write-timeout", c.WriteTimeout, time.Millisecond),
		atLeast("--linger", c.Linger, 0),
		atLeast("--drain", c.Drain, 0),
	)
}

func atLeast[T cmp.Ordered](flag string, value, least T) error {
	if value < least {
		return fmt.Errorf("%s must be at least %v", flag, least)
	}
	return nil
}

func (c *Config) validateLimits() error {
	if c.MaxTopics > 0 && c.MaxTopics < len(c.DefaultTopics) {
		return errors.New("--max-topics is less than the number of --default-topics")
	}
	for _, proxy := range c.TrustedProxies {
		_, notAddr := netip.ParseAddr(proxy)
		_, notBlock := netip.ParsePrefix(proxy)
		if notAddr != nil && notBlock != nil {
			return fmt.Errorf("--trusted-proxies: %q is not an address or a block such as 10.0.0.0/8", proxy)
		}
	}
	return nil
}
