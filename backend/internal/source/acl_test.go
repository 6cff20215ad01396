package source_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/internal/event"
	"sluice/internal/redistest"
	"sluice/internal/source"
)

// connectLimited connects as a Redis user that may use channels and keys that begin with
// "ok." and no others.
func connectLimited(t *testing.T, server *redistest.Server) *source.Redis {
	t.Helper()
	server.Do("ACL", "SETUSER", "gateway", "on", ">secret", "+@all", "~ok.*", "~__sluice__:*", "resetchannels", "&ok.*", "&__sluice__:*")
	options, err := source.ParseRedisURL(strings.Replace(server.URL(), "redis://", "redis://gateway:secret@", 1))
	if err != nil {
		t.Fatal(err)
	}
	src := source.OpenRedis(options, fmt.Sprintf("node%d", rand.Uint32()), someHistory, quiet)
	t.Cleanup(func() { _ = src.Close() })
	return src
}

func TestRedis_ForbiddenChannelIsRefusedAndTakesNoOtherDown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connectLimited(t, server)
	allowed, a := follow(t, src, channelNamed("ok.a"))
	live(t, a)
	secret := src.Follow(channelNamed("secret"), newRecorder())
	if err := secret.Live(t.Context()); !errors.Is(err, source.ErrForbidden) {
		t.Errorf("a channel that Redis forbids: Live returns %v", err)
	}
	server.Do("PUBLISH", "ok.a", "1")
	allowed.await(t, 1)
	if allowed.gaps() != 0 {
		t.Error("the refusal interrupted another channel")
	}
}

// After a reconnect, what is followed is named in one command, which fails as a whole.
func TestRedis_ForbiddenChannelDoesNotKeepOthersFromComingBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	src := connectLimited(t, server)
	allowed, a := follow(t, src, channelNamed("ok.a"))
	live(t, a)
	secret := src.Follow(channelNamed("secret"), newRecorder())
	if err := secret.Live(t.Context()); !errors.Is(err, source.ErrForbidden) {
		t.Errorf("Live returns %v", err)
	}
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "a gap", func() bool { return allowed.gaps() == 1 })
	live(t, a)
	server.Do("PUBLISH", "ok.a", "2")
	eventually(t, "the message after it", func() bool {
		data := allowed.data()
		return len(data) > 0 && data[len(data)-1] == "2"
	})
	if err := src.Ready(t.Context()); err != nil {
		eventually(t, "readiness", func() bool { return src.Ready(t.Context()) == nil })
	}
}

// It will not be allowed by trying again.
func TestRedis_ForbiddenPublishIsRefused(t *testing.T) {
	t.Parallel()
	src := connectLimited(t, redistest.Start(t))
	for _, kind := range event.Kinds {
		for _, m := range []source.Message{{Data: []byte("x")}, {Data: []byte("x"), IdempotencyKey: "k"}} {
			for name, allowed := range map[string]bool{"ok.a" + kind.String(): true, "secret": false} {
				topic := event.Literal(kind, name)
				_, err := src.Publish(t.Context(), topic, m)
				for _, err := range []error{err, src.PublishAll(t.Context(), topic, []source.Message{m, m})} {
					if allowed != (err == nil) || !allowed && !errors.Is(err, source.ErrForbidden) {
						t.Errorf("publishing to %s gives %v", topic, err)
					}
				}
			}
		}
	}
}
