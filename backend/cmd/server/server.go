package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/internal/auth"
	"sluice/internal/config"
	"sluice/internal/delivery"
	"sluice/internal/demo"
	"sluice/internal/event"
	"sluice/internal/httpapi"
	"sluice/internal/hub"
	"sluice/internal/journal"
	"sluice/internal/metrics"
	"sluice/internal/source"
	"sluice/internal/tracing"
)

const (
	// lastAnswers is how long requests that are under way may take after the drain, and the
	// last traces after that.
	lastAnswers = 5 * time.Second
	// scrapePatience is how long a scrape of the metrics waits for Redis.
	scrapePatience = 2 * time.Second
)

// Server is a running gateway.
type Server struct {
	cfg      config.Config
	log      *slog.Logger
	source   source.Source
	hub      *hub.Hub
	delivery *delivery.Server
	tracing  *tracing.Tracing

	public, admin *http.Server
	listener      net.Listener
	failed        chan error

	background context.CancelFunc
	running    sync.WaitGroup
}

// Start listens on the configured addresses and serves.
func Start(cfg config.Config, log *slog.Logger) (*Server, error) {
	if err := checkDefaults(cfg.DefaultTopics); err != nil {
		return nil, fmt.Errorf("--default-topics: %w", err)
	}
	keys, err := openKeys(cfg, log)
	if err != nil {
		return nil, err
	}
	authority, err := auth.New(auth.Options{Anyone: anyone(cfg), Secret: cfg.JWTSecret, Keys: keys, Origins: cfg.CORSOrigins})
	if err != nil {
		return nil, fmt.Errorf("--cors-origins: %w", err)
	}
	node := strings.ToLower(rand.Text()[:8])
	traces, err := tracing.Open(context.Background(), tracing.Service{Version: version, Node: node}, log)
	if err != nil {
		return nil, err
	}
	counters := metrics.New()
	src, err := openSource(cfg, node, counters, log)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: log, source: src, tracing: traces, failed: make(chan error, 2)}
	s.hub = hub.New(src, hub.Options{
		Node:      node,
		History:   journal.Limits{Events: cfg.HistoryEvents, Bytes: int(cfg.HistoryBytes)},
		Linger:    cfg.Linger,
		MaxTopics: cfg.MaxTopics,
		KeyBytes:  int(cfg.KeyBytes),
	}, counters)
	if err := s.hub.Follow(cfg.DefaultTopics); err != nil {
		return nil, err
	}
	s.delivery = delivery.New(delivery.Options{
		Heartbeat:    cfg.Heartbeat,
		WriteTimeout: cfg.WriteTimeout,
		Retry:        cfg.Retry,
	}, counters)
	s.public, err = httpapi.New(httpapi.Options{
		Node:                node,
		Version:             version,
		DefaultTopics:       cfg.DefaultTopics,
		CORSOrigins:         cfg.CORSOrigins,
		WebDir:              cfg.WebDir,
		MaxConnections:      cfg.MaxConnections,
		MaxConnectionsPerIP: cfg.MaxConnectionsPerIP,
		TrustedProxies:      cfg.TrustedProxies,
		PublishRate:         cfg.PublishRate,
		Authority:           authority,
		Hub:                 s.hub,
		Delivery:            s.delivery,
		Broker:              src,
		Metrics:             counters,
		Tracer:              traces.Tracer(),
		Log:                 log,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--trusted-proxies: %w", err), src.Close())
	}
	s.admin = httpapi.NewAdmin(counters.Registry(s.figures()), log)
	if err := s.listen(); err != nil {
		return nil, errors.Join(err, src.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.background = cancel
	if keys != nil {
		s.running.Go(func() { keys.Run(ctx) })
	}
	if cfg.Demo {
		s.running.Go(func() { demo.Run(ctx, demoPublisher(src), log) })
	}
	return s, nil
}

// checkDefaults checks that a subscription may have the topics, and all of them at once.
func checkDefaults(topics []event.Topic) error {
	if i := slices.IndexFunc(topics, source.IsInternal); i >= 0 {
		return fmt.Errorf("%s is for gateways among themselves; name topics of your own", topics[i])
	}
	if len(topics) > httpapi.MaxTopics {
		return fmt.Errorf("%d topics are more than the %d of one subscription", len(topics), httpapi.MaxTopics)
	}
	return nil
}

// openKeys returns the key set that verifies tokens, nil if none is configured.
func openKeys(cfg config.Config, log *slog.Logger) (*auth.KeySet, error) {
	switch {
	case cfg.JWKSFile != "":
		keys, err := auth.OpenKeyFile(cfg.JWKSFile, log)
		if err != nil {
			return nil, fmt.Errorf("--jwks-file: %w", err)
		}
		return keys, nil
	case cfg.JWKSURL != "":
		return auth.OpenKeyURL(cfg.JWKSURL, log), nil
	}
	return nil, nil
}

// figures are what the metrics tell besides the counters.
func (s *Server) figures() metrics.Figures {
	return metrics.Figures{
		Version: version,
		Ready: func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), scrapePatience)
			defer cancel()
			return !s.delivery.Draining() && s.source.Ready(ctx) == nil
		},
		Topics:       func() int { return s.hub.Stats().Topics },
		TopicsInUse:  func() int { return s.hub.Stats().TopicsInUse },
		MaxTopics:    s.cfg.MaxTopics,
		JournalBytes: func() int { return s.hub.Stats().JournalBytes },
		KeyBytes:     func() int { return s.hub.Stats().KeyBytes },
		Reconnects:   s.source.Reconnects,
	}
}

func openSource(cfg config.Config, node string, counters *metrics.Metrics, log *slog.Logger) (source.Source, error) {
	fill := source.Fill{Events: cfg.HistoryEvents, Bytes: int(cfg.HistoryBytes)}
	if cfg.RedisURL == "" {
		return source.NewMemory(fill), nil
	}
	options, err := source.ParseRedisURL(cfg.RedisURL)
	if err != nil {
		return nil, fmt.Errorf("--redis-url: %w", err)
	}
	if cfg.RedisCA != "" {
		if err := options.UseCA(cfg.RedisCA); err != nil {
			return nil, fmt.Errorf("--redis-ca: %w", err)
		}
	}
	options.Lag = counters.RedisLag
	return source.OpenRedis(options, node, fill, log), nil
}

// demoPublisher publishes the demo feeds, whose streams keep the usual number of entries.
func demoPublisher(src source.Source) demo.Publish {
	return func(ctx context.Context, topic event.Topic, eventType string, data []byte) error {
		_, err := src.Publish(ctx, topic, source.Message{Data: data, Type: eventType, MaxLen: source.DefaultMaxLen})
		return err
	}
}

// anyone is what requests without a token may do.
func anyone(cfg config.Config) auth.Grant {
	g := auth.Grant{Subscribe: cfg.AllowSubscribe, Publish: cfg.AllowPublish}
	if cfg.Demo {
		g.Subscribe = slices.Concat(g.Subscribe, demo.Topics())
		g.Publish = slices.Concat(g.Publish, demo.Topics())
	}
	return g
}

// listen opens both addresses and serves on them in the background.
func (s *Server) listen() error {
	if s.cfg.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(s.cfg.TLSCert, s.cfg.TLSKey)
		if err != nil {
			return fmt.Errorf("--tls-cert: %w", err)
		}
		s.public.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	public, err := net.Listen("tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("--addr: %w", err)
	}
	admin, err := net.Listen("tcp", s.cfg.AdminAddr)
	if err != nil {
		return errors.Join(fmt.Errorf("--admin-addr: %w", err), public.Close())
	}
	s.listener = &delivery.Listener{Listener: public, WriteTimeout: s.cfg.WriteTimeout}
	s.log.Info("listening", "addr", public.Addr().String(), "admin", admin.Addr().String(),
		"redis", s.cfg.RedisURL != "", "demo", s.cfg.Demo, "version", version)
	s.running.Go(func() { s.serve(s.public, s.listener) })
	s.running.Go(func() { s.serve(s.admin, admin) })
	return nil
}

func (s *Server) serve(server *http.Server, l net.Listener) {
	var err error
	if server == s.public && s.cfg.TLSCert != "" {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		s.failed <- err
	}
}

// URL returns where the server can be reached from this machine.
func (s *Server) URL() string {
	addr := s.listener.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() || addr.IP.IsLoopback() {
		host = "localhost"
	}
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, fmt.Sprint(addr.Port))
}

// Failed yields an error if serving ends by itself.
func (s *Server) Failed() <-chan error {
	return s.failed
}

// flushTraces sends the last spans. That they cannot be sent is no failure of the server.
func (s *Server) flushTraces() {
	ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	if err := s.tracing.Close(ctx); err != nil {
		s.log.Warn("traces were not sent", "error", err)
	}
}

// Shutdown stops accepting, drains the connections, and ends everything.
func (s *Server) Shutdown() error {
	s.log.Info("draining", "over", s.cfg.Drain)
	s.background()
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Drain+lastAnswers)
	defer cancel()
	var closing sync.WaitGroup
	closing.Go(func() {
		if err := s.public.Shutdown(ctx); err != nil {
			s.log.Warn("requests were still under way", "error", err)
			s.public.Close()
		}
	})
	s.delivery.Drain(ctx, s.cfg.Drain)
	closing.Wait()
	s.delivery.Close()
	s.hub.Close()
	err := errors.Join(s.admin.Close(), s.source.Close())
	s.running.Wait()
	s.flushTraces()
	s.log.Info("stopped")
	return err
}
