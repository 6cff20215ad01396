package pubsub

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/internal/test/redistest"
)

func TestSlotOf_MatchesRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(redistest.FreePort(t)))
	names := []string{"", "a", "123456789", "{", "}", "{}", "{}a", "a{b}c", "a{}b{c}", "{a}{b}", "a{b{c}d}", "}a{", "a{b", "ü🚀{é}", "\xff\xfe"}
	for range 100 {
		name := make([]byte, rand.N(20))
		for i := range name {
			name[i] = "ab{}"[rand.N(4)]
		}
		names = append(names, string(name))
	}
	for _, name := range names {
		if want := server.Do("CLUSTER", "KEYSLOT", name); int64(SlotOf(name)) != want {
			t.Errorf("slot of %q: got %d, want %v", name, SlotOf(name), want)
		}
		if beginning := InSlotOf(name); SlotOf(beginning+"}{x}") != SlotOf(name) || strings.Count(beginning, "{") != 1 {
			t.Errorf("%q and %q: got different slots", beginning, name)
		}
	}
}
