// Package config reads the server's flags and environment variables.
package config

import (
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
	AdminAddr string `default:"127.0.0.1:4001" env:"SLUICE_ADMIN_ADDR" help:"Address of metrics and profiles."`
	RedisURL  string `env:"REDIS_URL" placeholder:"URL" help:"Redis to follow, as redis://, rediss://, unix://, redis-sentinel:// or redis-cluster://. Without it, a broker inside this process."`
	RedisCA   string `name:"redis-ca" env:"SLUICE_REDIS_CA" placeholder:"FILE" help:"Authorities in PEM to trust for rediss://, in place of the system's."`
	WebDir    string `env:"SLUICE_WEB_DIR" placeholder:"DIR" help:"Directory of the built web app, served at /."`
	Demo      bool   `env:"SLUICE_DEMO" help:"Publish the demo feeds from inside the server, and open their topics to anyone."`

	DefaultTopics  Topics      `default:"channel:updates" env:"SLUICE_DEFAULT_TOPICS" placeholder:"TOPIC,…" help:"Topics of a subscription that names none (default ${default})."`
	AllowSubscribe GrantTopics `default:"channel:updates" env:"SLUICE_ALLOW_SUBSCRIBE" placeholder:"TOPIC,…" help:"Topics, globs included, that anyone may subscribe to (default ${default})."`
	AllowPublish   GrantTopics `env:"SLUICE_ALLOW_PUBLISH" placeholder:"TOPIC,…" help:"Topics, globs included, that anyone may publish to."`
	CORSOrigins    Origins     `name:"cors-origins" default:"*" env:"SLUICE_CORS_ORIGINS" placeholder:"ORIGIN,…" help:"Origins whose pages may connect; * for all, then without credentials (default ${default})."`

	JWTSecret     string `name:"jwt-secret" env:"SLUICE_JWT_SECRET" placeholder:"SECRET" help:"Secret that verifies tokens signed with HS256, of at least 32 bytes. Better set as the variable: other users of the machine can see flags."`
	JWTSecretFile string `name:"jwt-secret-file" env:"SLUICE_JWT_SECRET_FILE" placeholder:"FILE" help:"File that holds the secret of --jwt-secret; a line break at its end is ignored."`
	JWKSFile      string `name:"jwks-file" env:"SLUICE_JWKS_FILE" placeholder:"FILE" help:"JSON Web Key Set that verifies tokens signed with RS256, ES256 or EdDSA."`
	JWKSURL       string `name:"jwks-url" env:"SLUICE_JWKS_URL" placeholder:"URL" help:"The same, from an http or https URL; loaded again now and then."`

	MaxConnections      int       `default:"0" env:"SLUICE_MAX_CONNECTIONS" help:"Subscriptions that may be open at once; 0 for as many as the limit of open files allows."`
	MaxConnectionsPerIP int       `name:"max-connections-per-ip" default:"0" env:"SLUICE_MAX_CONNECTIONS_PER_IP" help:"Of them, those from one address; 0 for any number."`
	MaxTopics           int       `default:"65536" env:"SLUICE_MAX_TOPICS" help:"Topics that are followed at once; those without subscribers make room first. 0 for any number."`
	TrustedProxies      Addresses `env:"SLUICE_TRUSTED_PROXIES" placeholder:"ADDRESS,…" help:"Addresses and CIDR blocks of proxies whose X-Forwarded-For tells the client's address."`
	PublishRate         int       `default:"0" env:"SLUICE_PUBLISH_RATE" help:"Events a second that one token or address may publish over HTTP, on average over ten seconds; 0 for any number."`

	TLSCert string `name:"tls-cert" env:"SLUICE_TLS_CERT" placeholder:"FILE" help:"Certificate chain in PEM; without it, plain HTTP/1.1 and h2c."`
	TLSKey  string `name:"tls-key" env:"SLUICE_TLS_KEY" placeholder:"FILE" help:"Private key in PEM."`

	Heartbeat     time.Duration `default:"15s" env:"SLUICE_HEARTBEAT" help:"Longest silence on a connection before a stream.ping."`
	Retry         time.Duration `default:"2s" env:"SLUICE_RETRY" help:"Reconnection time given to clients, each between once and twice this."`
	HistoryEvents int           `default:"4096" env:"SLUICE_HISTORY_EVENTS" help:"Events held in memory for each topic."`
	HistoryBytes  Bytes         `default:"4MiB" env:"SLUICE_HISTORY_BYTES" help:"Memory for the events of each topic."`
	KeyBytes      Bytes         `default:"64MiB" env:"SLUICE_KEY_BYTES" help:"Memory for the values of each key topic."`
	TopicMemory   Bytes         `default:"1GiB" env:"SLUICE_TOPIC_MEMORY" help:"Memory for all topics together: journals, values, replays in progress."`
	Linger        time.Duration `default:"2m" env:"SLUICE_LINGER" help:"How long a topic without subscribers is still followed."`
	WriteTimeout  time.Duration `default:"10s" env:"SLUICE_WRITE_TIMEOUT" help:"A client that takes nothing for this long is cut off."`
	Drain         time.Duration `default:"10s" env:"SLUICE_DRAIN" help:"On SIGTERM, connections are closed spread over this time, and new requests are answered until its end."`

	LogFormat string           `enum:"text,json" default:"text" env:"SLUICE_LOG_FORMAT" help:"Format of the log: text or json."`
	LogLevel  slog.Level       `default:"info" env:"SLUICE_LOG_LEVEL" help:"Least level that is logged: debug, info, warn or error."`
	Version   kong.VersionFlag `help:"Print the version and exit."`
}

// Logger returns the log that the settings describe, written to w.
func (c *Config) Logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// popList returns the parts of a comma-separated value without the spaces around them.
func popList(ctx *kong.DecodeContext, name string) ([]string, error) {
	var list string
	if err := ctx.Scan.PopValueInto(name, &list); err != nil {
		return nil, err
	}
	parts := kong.SplitEscaped(list, ',')
	for i, part := range parts {
		parts[i] = strings.TrimSpace(part)
	}
	return parts, nil
}

// Addresses is a comma-separated list of addresses and CIDR blocks.
type Addresses []string

// Decode implements [kong.MapperValue].
func (a *Addresses) Decode(ctx *kong.DecodeContext) (err error) {
	*a, err = popList(ctx, "addresses")
	return err
}

// Topics is a comma-separated list of topics that can be followed.
type Topics []event.Topic

// Decode implements [kong.MapperValue].
func (t *Topics) Decode(ctx *kong.DecodeContext) (err error) {
	*t, err = decodeTopics(ctx, event.ParseTopic)
	return err
}

// GrantTopics is a comma-separated list of topics as permissions name them.
type GrantTopics []event.Topic

// Decode implements [kong.MapperValue].
func (t *GrantTopics) Decode(ctx *kong.DecodeContext) (err error) {
	*t, err = decodeTopics(ctx, event.ParseGrantTopic)
	return err
}

func decodeTopics(ctx *kong.DecodeContext, parse func(string) (event.Topic, error)) ([]event.Topic, error) {
	names, err := popList(ctx, "topics")
	if err != nil {
		return nil, err
	}
	var topics []event.Topic
	for _, s := range names {
		t, err := parse(s)
		if err != nil {
			return nil, err
		}
		topics = append(topics, t)
	}
	return topics, nil
}

// Origins is a comma-separated list of origins, in the words of browsers; * is any.
type Origins []string

// Decode implements [kong.MapperValue].
func (o *Origins) Decode(ctx *kong.DecodeContext) error {
	origins, err := popList(ctx, "origins")
	if err != nil {
		return err
	}
	*o = nil
	for _, s := range origins {
		origin, err := parseOrigin(s)
		if err != nil {
			return err
		}
		*o = append(*o, origin)
	}
	return nil
}

// defaultPorts are what browsers leave out of an origin.
var defaultPorts = map[string]string{"http": ":80", "https": ":443"}

// parseOrigin returns an origin as browsers write it (RFC 6454, section 6.2). Those of apps
// have schemes of their own, as in capacitor://localhost.
func parseOrigin(s string) (string, error) {
	if s == "*" {
		return s, nil
	}
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || u.Scheme == "" || u.Hostname() == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host}) {
		return "", fmt.Errorf("%q is not an origin such as https://example.com", s)
	}
	if strings.Contains(u.Host, "*") {
		return "", fmt.Errorf("%q has a * in it, which no origin matches: name each, or give * alone for all", s)
	}
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, defaultPorts[u.Scheme]), nil
}

// Bytes is a size such as 4MiB.
type Bytes int

// minTopicMemory is the least memory for topics.
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

// Validate implements kong's hook, which is called when all values are set.
func (c *Config) Validate() error {
	switch {
	case c.Addr == "":
		return errors.New("--addr needs a port at least, such as :4000")
	case c.AdminAddr == "": // net would listen on all interfaces
		return errors.New("--admin-addr needs an address, such as 127.0.0.1:4001")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together: give both or neither")
	case c.RedisCA != "" && c.RedisURL == "":
		return errors.New("--redis-ca is for the Redis of --redis-url: give that too")
	case c.HistoryEvents < 1:
		return errors.New("--history-events must be at least 1")
	case c.TopicMemory < minTopicMemory:
		return fmt.Errorf("--topic-memory must be at least %d MiB", minTopicMemory>>20)
	case c.HistoryBytes < 1:
		return errors.New("--history-bytes must be at least 1")
	case len(c.DefaultTopics) == 0:
		return errors.New("--default-topics needs at least one topic")
	case len(c.CORSOrigins) == 0:
		return errors.New("--cors-origins needs at least one origin, or * for all")
	case len(c.CORSOrigins) > 1 && slices.Contains(c.CORSOrigins, "*"):
		return errors.New("--cors-origins: * is for all origins; leave it out, or the others")
	}
	if err := c.validateTokens(); err != nil {
		return err
	}
	if err := c.validateLimits(); err != nil {
		return err
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
		least time.Duration
	}{
		{"--heartbeat", c.Heartbeat, 100 * time.Millisecond},
		{"--retry", c.Retry, time.Millisecond},
		{"--write-timeout", c.WriteTimeout, time.Millisecond},
		{"--linger", c.Linger, 0},
		{"--drain", c.Drain, 0},
	} {
		if d.value < d.least {
			return fmt.Errorf("%s must be at least %s", d.flag, d.least)
		}
	}
	if c.WebDir != "" {
		if _, err := os.Stat(c.WebDir + "/index.html"); err != nil {
			return fmt.Errorf("--web-dir: %w; build the web app first", err)
		}
	}
	return nil
}

// minSecret is the least length of a secret in bytes: that of the hash (RFC 7518, section
// 3.2). Shorter ones can be guessed from one token.
const minSecret = 32

// validateTokens leaves the settings out of its errors: they hold secrets.
func (c *Config) validateTokens() error {
	if c.JWTSecretFile != "" {
		if c.JWTSecret != "" {
			return errors.New("--jwt-secret and --jwt-secret-file exclude each other: give one of them")
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
		return errors.New("--jwks-file and --jwks-url name the same thing twice: give one of them")
	}
	if c.JWKSURL != "" {
		u, err := url.Parse(c.JWKSURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("--jwks-url is not a URL such as https://example.com/.well-known/jwks.json")
		}
	}
	return nil
}

func (c *Config) validateLimits() error {
	switch {
	case c.MaxConnections < 0:
		return errors.New("--max-connections must be at least 0")
	case c.MaxConnectionsPerIP < 0:
		return errors.New("--max-connections-per-ip must be at least 0")
	case c.MaxTopics < 0:
		return errors.New("--max-topics must be at least 0")
	case c.MaxTopics > 0 && c.MaxTopics < len(c.DefaultTopics):
		return errors.New("--max-topics leaves no room for all of --default-topics")
	case c.PublishRate < 0:
		return errors.New("--publish-rate must be at least 0")
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
