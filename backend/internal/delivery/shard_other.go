//go:build !linux

package delivery

import (
	"errors"
	"net"
	"time"
)

// shard exists on Linux only; elsewhere every connection has a goroutine.
type shard struct{}

func newShards(*Server) []*shard { return nil }

func (*shard) stop() {}

func (*shard) appendAll(all []closer) []closer { return all }

func (s *Server) handOff(net.Conn, Stream, time.Time, func(*End)) error {
	return errors.ErrUnsupported
}

func untaken(net.Conn) int { return 0 }
