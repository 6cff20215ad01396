package hub_test

import (
	"strings"
	"testing"

	"sluice/internal/hub"
	"sluice/internal/test/redistest"
)

// gatewayOfUser returns a gateway that uses Redis as the user "gateway".
func gatewayOfUser(t testing.TB, server *redistest.Server) gateway {
	t.Helper()
	url := strings.Replace(server.URL(), "redis://", "redis://gateway:secret@", 1)
	return gatewayOver(t, sourceAt(t, url, history(100)), history(100))
}

// A key that Redis forbids at run time ends with a gap. The gap's id is where the client
// resumes, on any node, so it has no second one.
func TestKey_ResumesFromTheGapOfAForbiddenKey(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"old", "new"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "allkeys", "allchannels")
			g, other := gatewayOfUser(t, server), gatewayOfUser(t, server)
			server.Do("SET", "k", "old")
			s := g.take(t, hub.Request{Topics: listOf(t, "key:k")})
			s.untilData("old")
			server.Do("ACL", "SETUSER", "gateway", "resetkeys", "~__sluice__:*")
			server.Do("SET", "k", value+" between")
			untilGap(s)
			id := s.lastID()
			s.leave()
			server.Do("SET", "k", value)
			server.Do("ACL", "SETUSER", "gateway", "allkeys")
			for name, node := range map[string]gateway{"the same node": g, "another node": other} {
				back := node.take(t, hub.Request{Topics: listOf(t, "key:k"), IDs: []string{id}})
				back.drain()
				if value == "old" {
					back.expectTexts(name)
				} else {
					back.untilData("new")
					back.expectTexts(name, "new")
				}
				back.expectResumed(name, true)
				back.leave()
			}
		})
	}
}
