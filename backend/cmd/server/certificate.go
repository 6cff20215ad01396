package main

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateCheck is the least time between two looks at the files of a certificate.
const certificateCheck = time.Second

// certificate is the certificate of the public address. Changed files are loaded by the
// next handshake, or by reload; while they are not valid, the last certificate stays.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	files   [2]os.FileInfo // at the last load, also one that failed
	checked time.Time      // when files were last compared
}

// openCertificate loads the certificate.
func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// get returns the certificate for a handshake.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= certificateCheck && c.changed() {
		c.loadOrLog()
	}
	return c.pair, nil
}

// reload loads the certificate again.
func (c *certificate) reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loadOrLog()
}

// changed reports whether a file is not the one of the last load. c.mu must be held.
func (c *certificate) changed() bool {
	c.checked = time.Now()
	for i, file := range c.stat() {
		last := c.files[i]
		switch {
		case file == nil || last == nil:
			if file != nil || last != nil {
				return true
			}
		case !os.SameFile(file, last) || !file.ModTime().Equal(last.ModTime()) || file.Size() != last.Size():
			return true
		}
	}
	return false
}

// stat returns the state of both files, nil for one that cannot be read.
func (c *certificate) stat() (files [2]os.FileInfo) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if file, err := os.Stat(name); err == nil {
			files[i] = file
		}
	}
	return files
}

// loadOrLog keeps the certificate if its files are not valid. c.mu must be held.
func (c *certificate) loadOrLog() {
	if err := c.load(); err != nil {
		c.log.Error("certificate not reloaded, the last one stays in use", "error", err)
		return
	}
	c.log.Info("certificate reloaded", "file", c.certFile)
}

// load reads the files. c.mu must be held once c is shared.
func (c *certificate) load() error {
	c.files = c.stat() // before they are read: a change during the read counts as the next one
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.pair = &pair
	return nil
}
