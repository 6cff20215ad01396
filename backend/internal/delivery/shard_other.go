//go:build !linux

package delivery

import (
	"errors"
	"net"
	"time"
)

// shard is used on Linux only. On other systems, every connection has a goroutine.
type shard struct{}

func newShards(*Server) []*shard { return nil }

func (*shard) stop() {}

func (*shard) appendAll(all []closer) []closer { return all }

func (s *Server) handOff(net.Conn, Stream, time.Time, func(*End)) error {
	return errors.ErrUnsupported
}

func unacknowledged(net.Conn) int { return 0 }
