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
	"sluice/internal/source/memory"
	"sluice/internal/source/redis"
	"sluice/internal/tracing"
)

const (
	// lastAnswers bounds the time of the requests in flight after the drain, and the time of the
	// last export of traces after that.
	lastAnswers = 5 * time.Second
	// scrapePatience bounds the time that a scrape of the metrics waits for Redis.
	scrapePatience = 2 * time.Second
)

// Server is a running gateway.
type Server struct {
	cfg      config.Config
	log      *slog.Logger
	source   source.Source
	hub      *hub.Hub
	delivery *delivery.Server

	keys        *auth.KeySet // nil if not configured
	certificate *certificate // nil without TLS

	public, admin *http.Server
	listener      net.Listener
	failed        chan error // receives an error if serving ends before Shutdown

	closers []func() error // functions that release the parts, in the order of their start
}

// Start listens on the configured addresses and serves in the background. It does not wait for
// Redis. The caller must call Shutdown. After an error everything is released.
func Start(cfg config.Config, log *slog.Logger) (_ *Server, err error) {
	if err := checkDefaults(cfg.DefaultTopics); err != nil {
		return nil, fmt.Errorf("--default-topics: %w", err)
	}
	s := &Server{cfg: cfg, log: log, failed: make(chan error, 2)}
	defer func() {
		if err != nil {
			_ = s.close() // report the error of the start instead
		}
	}()
	if s.keys, err = openKeys(cfg, log); err != nil {
		return nil, err
	}
	authorizer, err := auth.New(auth.Options{Anyone: anyoneGrant(cfg), Secret: cfg.JWTSecret, Keys: s.keys, Origins: cfg.CORSOrigins})
	if err != nil {
		return nil, fmt.Errorf("--cors-origins: %w", err)
	}
	node := strings.ToLower(rand.Text()[:8])
	traces, err := tracing.Open(context.Background(), version, node, log)
	if err != nil {
		return nil, err
	}
	s.onClose(func() error { s.flushTraces(traces); return nil })
	counters := metrics.New()
	if err := s.openTopics(node, counters); err != nil {
		return nil, err
	}
	s.public, err = httpapi.New(httpapi.Options{
		Node:                node,
		Version:             version,
		Redis:               cfg.RedisURL != "",
		DefaultTopics:       cfg.DefaultTopics,
		CORSOrigins:         cfg.CORSOrigins,
		WebDir:              cfg.WebDir,
		MaxConnections:      cfg.MaxConnections,
		MaxConnectionsPerIP: cfg.MaxConnectionsPerIP,
		TrustedProxies:      cfg.TrustedProxies,
		PublishRate:         cfg.PublishRate,
		Authorizer:          authorizer,
		Hub:                 s.hub,
		Delivery:            s.delivery,
		Broker:              s.source,
		Metrics:             counters,
		Tracer:              traces.Tracer,
		Log:                 log,
	})
	if err != nil {
		return nil, err
	}
	s.admin = httpapi.NewAdmin(cfg.AdminAddr, counters.Registry(s.figures()), log)
	if err := s.listen(); err != nil {
		return nil, err
	}
	s.runBackground()
	s.warnUnreachable()
	return s, nil
}

// openTopics opens the source, the hub that follows topics, and the delivery of events.
func (s *Server) openTopics(node string, counters *metrics.Metrics) (err error) {
	cfg := s.cfg
	if s.source, err = openSource(cfg, node, counters, s.log); err != nil {
		return err
	}
	s.onClose(s.source.Close)
	s.hub = hub.New(s.source, hub.Options{
		Node:      node,
		History:   journal.Limits{Events: cfg.HistoryEvents, Bytes: int(cfg.HistoryBytes), Memory: journal.NewMemory(int(cfg.TopicMemory), cfg.WriteTimeout)},
		Linger:    cfg.Linger,
		MaxTopics: cfg.MaxTopics,
		KeyBytes:  int(cfg.KeyBytes),
	}, counters)
	s.onClose(func() error { s.hub.Close(); return nil })
	followed := cfg.DefaultTopics
	if cfg.Demo { // so a page that opens later shows what was published before
		followed = slices.Concat(followed, demo.Followed())
	}
	if err := s.hub.Follow(followed); err != nil {
		return err
	}
	s.delivery = delivery.New(delivery.Options{
		Heartbeat:    cfg.Heartbeat,
		WriteTimeout: cfg.WriteTimeout,
		Retry:        cfg.Retry,
	}, counters)
	s.onClose(func() error { s.delivery.Close(); return nil })
	return nil
}

// runBackground starts the refresh of the key set and the demo feeds.
func (s *Server) runBackground() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	s.onClose(func() error { cancel(); running.Wait(); return nil })
	if s.keys != nil {
		running.Go(func() { s.keys.Run(ctx) })
	}
	if s.cfg.Demo {
		running.Go(func() { demo.Run(ctx, s.source.Publish, s.cfg.RedisURL == "", s.log) })
	}
}

// onClose registers a function that close calls.
func (s *Server) onClose(release func() error) {
	s.closers = append(s.closers, release)
}

// close releases the parts that were started, the last one first.
func (s *Server) close() error {
	var errs []error
	for _, release := range slices.Backward(s.closers) {
		errs = append(errs, release())
	}
	return errors.Join(errs...)
}

// warnUnreachable logs a warning for default topics that no client may subscribe to. With one of
// them, every subscription that names no topics fails.
func (s *Server) warnUnreachable() {
	if s.keys != nil || s.cfg.JWTSecret != "" {
		return // a token may allow them
	}
	grant := anyoneGrant(s.cfg)
	for _, topic := range s.cfg.DefaultTopics {
		for _, needed := range source.Needed(topic) {
			if grant.MaySubscribe(needed) != nil {
				s.log.Warn("no client may follow a default topic; --allow-subscribe opens it to anyone", "topic", topic.String(), "needed", needed.String())
			}
		}
	}
}

// Reload loads the certificate and the key set again. After an error, the previous ones stay in use.
func (s *Server) Reload() {
	s.log.Info("reloading certificates and key files")
	if s.certificate != nil {
		s.certificate.reload()
	}
	if s.keys == nil {
		return
	}
	if err := s.keys.Reload(context.Background()); err != nil {
		s.log.Error("keys for tokens not reloaded, the previous keys stay in use", "error", err)
	}
}

// checkDefaults returns an error if one subscription cannot have all of the topics.
func checkDefaults(topics []event.Topic) error {
	if i := slices.IndexFunc(topics, source.IsInternal); i >= 0 {
		return fmt.Errorf("%s is reserved for messages between gateways; name other topics", topics[i])
	}
	if len(topics) > httpapi.MaxTopics {
		return fmt.Errorf("%d topics exceed the limit of %d for one subscription", len(topics), httpapi.MaxTopics)
	}
	return nil
}

// openKeys returns the configured key set that verifies tokens, or nil.
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

// figures returns the values for the metrics that are not counters of [metrics.Metrics].
func (s *Server) figures() metrics.Figures {
	return metrics.Figures{
		Version: version,
		Ready: func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), scrapePatience)
			defer cancel()
			_, err := s.source.Ready(ctx)
			return !s.delivery.Draining() && err == nil
		},
		Topics:        func() int { return s.hub.Stats().Topics },
		TopicsInUse:   func() int { return s.hub.Stats().TopicsInUse },
		MaxTopics:     s.cfg.MaxTopics,
		JournalBytes:  func() int { return s.hub.Stats().JournalBytes },
		KeyBytes:      func() int { return s.hub.Stats().KeyBytes },
		TopicBytes:    func() int { return s.hub.Stats().TopicBytes },
		MaxTopicBytes: int(s.cfg.TopicMemory),
		Reconnects:    s.source.Reconnects,
	}
}

// openSource returns the source that the settings select: Redis, or a broker in this process.
func openSource(cfg config.Config, node string, counters *metrics.Metrics, log *slog.Logger) (source.Source, error) {
	fill := source.Fill{Events: cfg.HistoryEvents, Bytes: int(cfg.HistoryBytes)}
	if cfg.RedisURL == "" {
		broker := memory.New(fill)
		broker.KeyBytes = int(cfg.KeyBytes) // so every glob of keys fits into the hub's limit
		return broker, nil
	}
	options, err := redis.Configure(cfg.RedisURL, cfg.RedisCA)
	if err != nil {
		return nil, err
	}
	options.Lag, options.KeyUnreadable = counters.RedisLag, counters.KeyUnreadable
	return redis.Open(options, node, fill, log), nil
}

// anyoneGrant returns the permissions of requests without a token.
func anyoneGrant(cfg config.Config) auth.Grant {
	g := auth.Grant{Subscribe: cfg.AllowSubscribe, Publish: cfg.AllowPublish}
	if cfg.Demo {
		g.Subscribe = slices.Concat(g.Subscribe, demo.Topics())
		g.Publish = slices.Concat(g.Publish, demo.Topics())
	}
	return g
}

// listen opens both addresses and serves on them in the background.
func (s *Server) listen() (err error) {
	if s.cfg.TLSCert != "" {
		if s.certificate, err = openCertificate(s.cfg.TLSCert, s.cfg.TLSKey, s.log); err != nil {
			return fmt.Errorf("--tls-cert: %w", err)
		}
		s.public.TLSConfig = &tls.Config{GetCertificate: s.certificate.get, MinVersion: tls.VersionTLS12}
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
	var serving sync.WaitGroup
	serving.Go(func() { s.serve(s.public, s.listener) })
	serving.Go(func() { s.serve(s.admin, admin) })
	s.onClose(func() error {
		err := errors.Join(s.public.Close(), s.admin.Close())
		serving.Wait()
		return err
	})
	return nil
}

func (s *Server) serve(server *http.Server, l net.Listener) {
	var err error
	if server == s.public && s.certificate != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		s.failed <- err
	}
}

// URL returns a URL of the server for clients on this machine.
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

// flushTraces exports the last spans. It logs errors.
func (s *Server) flushTraces(traces *tracing.Tracing) {
	ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	if err := traces.Close(ctx); err != nil {
		s.log.Warn("traces were not sent", "error", err)
	}
}

// Shutdown drains the connections for the configured time, or until the context ends. Then it closes
// the listener and releases everything. Until then the server accepts requests, and sends
// Connection: close in each response.
func (s *Server) Shutdown(ctx context.Context) error {
	s.log.Info("draining", "over", s.cfg.Drain)
	drain, cancel := context.WithTimeout(ctx, s.cfg.Drain)
	defer cancel()
	s.delivery.Drain(drain, s.cfg.Drain)
	<-drain.Done()
	last, cancelLast := context.WithTimeout(context.Background(), lastAnswers)
	defer cancelLast()
	if err := s.public.Shutdown(last); err != nil {
		s.log.Warn("requests were still in flight", "error", err)
	}
	err := s.close()
	s.log.Info("stopped")
	return err
}
