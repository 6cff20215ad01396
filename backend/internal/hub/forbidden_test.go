package hub_test

import (
	"strings"
	"testing"

	"sluice/internal/hub"
	"sluice/internal/test/redistest"
)

// restrictedGateway returns a gateway that connects to Redis as the user "gateway".
func restrictedGateway(t testing.TB, server *redistest.Server) gateway {
	t.Helper()
	url := strings.Replace(server.URL(), "redis://", "redis://gateway:secret@", 1)
	return newGateway(t, sourceAt(t, url, history(100)), history(100))
}

// If Redis forbids a key at run time, the topic ends with a gap. A client resumes at the id of that
// gap, on any node, and gets no second gap.
func TestKey_ResumesFromGapOfForbiddenKey(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"old", "new"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "allkeys", "allchannels")
			g, other := restrictedGateway(t, server), restrictedGateway(t, server)
			server.Do("SET", "k", "old")
			s := g.subscribe(t, hub.Request{Topics: topics(t, "key:k")})
			s.awaitData("old")
			server.Do("ACL", "SETUSER", "gateway", "resetkeys", "~__sluice__:*")
			server.Do("SET", "k", value+" between")
			awaitGap(s)
			id := s.lastID()
			s.close()
			server.Do("SET", "k", value)
			server.Do("ACL", "SETUSER", "gateway", "allkeys")
			for name, node := range map[string]gateway{"the same node": g, "another node": other} {
				back := node.subscribe(t, hub.Request{Topics: topics(t, "key:k"), IDs: []string{id}})
				back.read()
				if value == "old" {
					back.checkTexts(name)
				} else {
					back.awaitData("new")
					back.checkTexts(name, "new")
				}
				back.checkResumed(name, true)
				back.close()
			}
		})
	}
}
