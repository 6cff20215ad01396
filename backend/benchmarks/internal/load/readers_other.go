//go:build !linux

package load

import "errors"

// Readers is implemented on Linux only.
type Readers struct{}

// NewReaders always returns an error.
func NewReaders() (*Readers, error) {
	return nil, errors.New("loads are supported on Linux only")
}

// Close does nothing.
func (*Readers) Close() {}

// Reset returns an empty result.
func (*Readers) Reset() Result { return Result{} }

// Messages returns 0.
func (*Readers) Messages() int64 { return 0 }

// Count returns 0.
func (*Readers) Count() int { return 0 }

func (*Readers) opened() (int, error) { return 0, errors.ErrUnsupported }
func (*Readers) dial(Target) error    { return errors.ErrUnsupported }
