package main

import (
	"crypto/tls"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// certificateCheck is the minimum time between two checks whether the files have changed.
const certificateCheck = time.Second

// certificate is the certificate of the public address. The next handshake after a change of the
// files loads them again. If they are not valid, the previous certificate stays in use. Its methods
// may be called from any goroutine.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	files   [2]os.FileInfo // state of the files at the last load, also if it failed
	checked time.Time      // time of the last check for changes
}

// openCertificate loads a certificate. It returns an error if the files are not valid.
func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	return c, c.load()
}

// get implements [tls.Config.GetCertificate].
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= certificateCheck && c.changed() {
		c.loadOrLog()
	}
	return c.pair, nil
}

// reload loads the files again, even if they have not changed.
func (c *certificate) reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loadOrLog()
}

// changed reports whether a file has changed since the last load. mu must be held.
func (c *certificate) changed() bool {
	c.checked = time.Now()
	files := c.stat()
	return !slices.EqualFunc(files[:], c.files[:], func(file, last os.FileInfo) bool {
		return file == last || os.SameFile(file, last) && file.ModTime().Equal(last.ModTime()) && file.Size() == last.Size()
	})
}

// stat returns the state of both files, nil for one that cannot be read.
func (c *certificate) stat() (files [2]os.FileInfo) {
	for i, name := range []string{c.certFile, c.keyFile} {
		files[i], _ = os.Stat(name)
	}
	return files
}

// loadOrLog loads the files. After an error it logs and keeps the certificate. mu must be held.
func (c *certificate) loadOrLog() {
	if err := c.load(); err != nil {
		c.log.Error("certificate not reloaded, the previous one stays in use", "error", err)
		return
	}
	c.log.Info("certificate reloaded", "file", c.certFile)
}

// load loads the files. mu must be held, except in openCertificate.
func (c *certificate) load() error {
	c.files = c.stat() // before the read, so a change during the read is detected later
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.pair = &pair
	return nil
}
