package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/internal/event"
	"sluice/internal/source"
	"sluice/internal/source/memory"
	"sluice/internal/source/redis"
	"sluice/internal/test/redistest"
)

// Every source implements the same contract.

func TestMemory_Contract(t *testing.T) {
	t.Parallel()
	testContract(t, func(t *testing.T) source.Source {
		t.Helper()
		return closing(t, memory.New(fill))
	})
}

func TestRedis_Contract(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	testContract(t, func(t *testing.T) source.Source {
		t.Helper()
		return openRedis(t, server.URL())
	})
}

var fill = source.Fill{Events: 1000, Bytes: 1 << 20}

var discard = slog.New(slog.DiscardHandler)

func openRedis(t *testing.T, url string) *redis.Source {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return closing(t, redis.Open(options, fmt.Sprintf("node%d", rand.Uint32()), fill, discard))
}

func closing[S source.Source](t *testing.T, src S) S {
	t.Helper()
	t.Cleanup(func() { _ = src.Close() }) // some tests have already closed it
	return src
}

// testContract runs the contract tests on one source type. Sources may share a server, so each test
// uses different names.
func testContract(t *testing.T, open func(*testing.T) source.Source) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, src source.Source)
	}{
		{"a literal channel delivers its messages only", literalOnly},
		{"a glob delivers all matching channels with their names", globBringsAll},
		{"escaped characters are literal", escapedNames},
		{"overlapping topics each get a copy", overlapping},
		{"messages arrive in order", inOrder},
		{"no message from before it was live", nothingBeforeLive},
		{"all messages after it was live", everythingAfterLive},
		{"no message after Close", nothingAfterClose},
		{"payloads arrive byte for byte", exactPayloads},
		{"publishing without subscribers succeeds", publishWithoutSubscribers},
		{"a batch arrives together and in order", publishedTogether},
		{"a topic can be followed again immediately", followAgain},
		{"concurrent Follow, Close and messages", followUnderLoad},
		{"many topics", manyTopics},
		{"it becomes ready", becomesReady},
		{"no sink is called after the source is closed", noCallAfterClose},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.test(t, open(t))
		})
	}
}

// namePrefix returns a prefix of names that no other test uses.
func namePrefix(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("t%d.", rand.Uint64())
}

func publishedTogether(t *testing.T, src source.Source) {
	p := namePrefix(t)
	a, f := follow(t, src, channelNamed(p+"a"))
	awaitLive(t, f)
	var want []string
	var messages []source.Message
	for i := range 300 {
		want = append(want, fmt.Sprint(i))
		messages = append(messages, source.Message{Data: []byte(want[i])})
	}
	for _, topic := range []event.Topic{channelNamed(p + "a"), event.Literal(event.Stream, p+"s"), event.Literal(event.Key, p+"k")} {
		if err := src.PublishAll(t.Context(), topic, messages); err != nil {
			t.Errorf("%s: %v", topic, err)
		}
	}
	a.count(t, len(want))
	checkValues(t, "the channel", a.all(), want...)
	checkEntries(t, src, p+"s", want)

	// The key of the first message covers the whole batch.
	for i := range messages {
		messages[i].IdempotencyKey, messages[i].Fingerprint = "k", "f"
	}
	for range 2 {
		if err := src.PublishAll(t.Context(), event.Literal(event.Stream, p+"once"), messages); err != nil {
			t.Error(err)
		}
	}
	checkEntries(t, src, p+"once", want)
}

// checkEntries checks all entries of a stream.
func checkEntries(t *testing.T, src source.Source, name string, want []string) {
	t.Helper()
	page, err := src.Range(t.Context(), event.Literal(event.Stream, name), source.Range{UpTo: event.StreamID{Millis: math.MaxUint64}, Count: len(want) + 1})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range page.Entries {
		got = append(got, string(e.Data))
	}
	if !slices.Equal(got, want) {
		t.Errorf("stream %s: got %.300q, want %.300q", name, got, want)
	}
}

func literalOnly(t *testing.T, src source.Source) {
	p := namePrefix(t)
	a, _ := follow(t, src, channelNamed(p+"a"))
	b, _ := follow(t, src, channelNamed(p+"b"))
	publish(t, src, p+"a", "1")
	publish(t, src, p+"ab", "to nobody")
	publish(t, src, p+"A", "to nobody")
	publish(t, src, p+"b", "2")
	publish(t, src, p+"a", "3")
	a.count(t, 2)
	b.count(t, 1)
	checkValues(t, "a", a.all(), "1", "3")
	checkValues(t, "b", b.all(), "2")
	if topic := a.all()[0].topic; topic != channelNamed(p+"a") {
		t.Errorf("got topic %q", topic)
	}
}

func globBringsAll(t *testing.T, src source.Source) {
	p := namePrefix(t)
	all, _ := follow(t, src, parseTopic(t, "channel:"+p+"*"))
	set, _ := follow(t, src, parseTopic(t, "channel:"+p+"[a-b]?"))
	var calls []call
	for i, name := range []string{"a1", "b2", "c3", "a", "a11", "*"} {
		publish(t, src, p+name, fmt.Sprint(i))
		calls = all.count(t, i+1) // channels on different cluster nodes have no common order
	}
	set.count(t, 2)
	checkValues(t, "the star", all.all(), "0", "1", "2", "3", "4", "5")
	checkValues(t, "the set", set.all(), "0", "1")
	if calls[0].topic != channelNamed(p+"a1") {
		t.Errorf("got topic %q, want the literal one", calls[0].topic)
	}
	if want := channelNamed(p + "*"); calls[5].topic != want || want.IsGlob() {
		t.Errorf("channel named *: got topic %q, want %q", calls[5].topic, want)
	}
}

func escapedNames(t *testing.T, src source.Source) {
	p := namePrefix(t)
	names := []string{"a*b", "a?b", "a[b", `a\b`, `a\*b`, "[ab]", "*", `\`, "a b", "ü🚀", "%40@"}
	recorders := make([]*recordingSink, len(names))
	for i, name := range names {
		recorders[i], _ = follow(t, src, channelNamed(p+name))
	}
	glob, _ := follow(t, src, parseTopic(t, "channel:"+p+`a\*[^a]`))
	for _, name := range append(slices.Clone(names), "aXb", "a", "X") {
		publish(t, src, p+name, name)
	}
	for i, name := range names {
		calls := recorders[i].count(t, 1)
		checkValues(t, name, recorders[i].all(), name)
		if calls[0].topic.Name() != p+name {
			t.Errorf("%s: got topic %q", name, calls[0].topic)
		}
	}
	glob.count(t, 1)
	checkValues(t, "the glob with a literal star", glob.all(), "a*b")
}

func overlapping(t *testing.T, src source.Source) {
	p := namePrefix(t)
	recorders := make(map[string]*recordingSink)
	for _, pattern := range []string{"a.b", "a.*", "*", "*.b", "a.?"} {
		recorders[pattern], _ = follow(t, src, parseTopic(t, "channel:"+p+pattern))
	}
	publish(t, src, p+"a.b", "1")
	publish(t, src, p+"a.b", "2")
	for pattern, r := range recorders {
		r.count(t, 2)
		checkValues(t, pattern, r.all(), "1", "2")
	}
}

func inOrder(t *testing.T, src source.Source) {
	p := namePrefix(t)
	const n = 2000
	literal, _ := follow(t, src, channelNamed(p+"a"))
	glob, _ := follow(t, src, parseTopic(t, "channel:"+p+"*"))
	for _, s := range numbers(0, n-1) {
		publish(t, src, p+"a", s)
	}
	literal.count(t, n)
	glob.count(t, n)
	checkValues(t, "the literal", literal.all(), numbers(0, n-1)...)
	checkValues(t, "the glob", glob.all(), numbers(0, n-1)...)
}

func nothingBeforeLive(t *testing.T, src source.Source) {
	p := namePrefix(t)
	publish(t, src, p+"a", "before")
	r, _ := follow(t, src, channelNamed(p+"a"))
	publish(t, src, p+"a", "after")
	r.count(t, 1)
	checkValues(t, "the sink", r.all(), "after")
}

func everythingAfterLive(t *testing.T, src source.Source) {
	p := namePrefix(t)
	for i := range 100 {
		name := fmt.Sprint(p, i)
		r, _ := follow(t, src, channelNamed(name))
		publish(t, src, name, "first")
		r.count(t, 1)
		checkValues(t, name, r.all(), "first")
	}
}

func nothingAfterClose(t *testing.T, src source.Source) {
	p := namePrefix(t)
	closed, f := follow(t, src, channelNamed(p+"a"))
	closedGlob, fGlob := follow(t, src, parseTopic(t, "channel:"+p+"*"))
	open, _ := follow(t, src, parseTopic(t, "channel:"+p+"?"))
	publish(t, src, p+"a", "1")
	closed.count(t, 1)
	closedGlob.count(t, 1)
	open.count(t, 1)
	f.Close()
	fGlob.Close()
	publish(t, src, p+"a", "2")
	publish(t, src, p+"a", "3")
	open.count(t, 3)
	checkValues(t, "the closed literal", closed.all(), "1")
	checkValues(t, "the closed glob", closedGlob.all(), "1")
	checkValues(t, "the open one", open.all(), "1", "2", "3")
}

func exactPayloads(t *testing.T, src source.Source) {
	p := namePrefix(t)
	r, _ := follow(t, src, channelNamed(p+"a"))
	binary := make([]byte, 1<<20)
	rnd := rand.NewChaCha8([32]byte{1})
	_, _ = rnd.Read(binary) // never fails
	payloads := []string{
		"", "x", "\x00", "a\r\nb\n\rc", "$5\r\nhello\r\n", "\xff\xfe", "\ufeffü🚀\u2028",
		strings.Repeat("0123456789abcdef", 1<<16), string(binary), "the last",
	}
	for _, payload := range payloads {
		publish(t, src, p+"a", payload)
	}
	r.count(t, len(payloads))
	for i, got := range eventData(r.all()) {
		if got != payloads[i] {
			t.Errorf("published %d bytes, %.40q; got %d bytes, %.40q", len(payloads[i]), payloads[i], len(got), got)
		}
	}
}

func publishWithoutSubscribers(t *testing.T, src source.Source) {
	publish(t, src, namePrefix(t)+"nobody", "x")
}

func followAgain(t *testing.T, src source.Source) {
	p := namePrefix(t)
	for _, topic := range []event.Topic{channelNamed(p + "a"), parseTopic(t, "channel:"+p+"b*")} {
		var given []*recordingSink
		for i := range 100 {
			r := newRecordingSink(t)
			f := src.Follow(topic, r)
			if i%3 == 0 {
				awaitLive(t, f)
			}
			f.Close()
			given = append(given, r)
		}
		r, _ := follow(t, src, topic)
		publish(t, src, strings.TrimSuffix(topic.Pattern, "*"), "only")
		r.count(t, 1)
		checkValues(t, "the one that is open", r.all(), "only")
		for _, old := range given {
			checkValues(t, "one that was closed", old.all())
		}
	}
}

func followUnderLoad(t *testing.T, src source.Source) {
	p := namePrefix(t)
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				publish(t, src, p+"a", fmt.Sprint(n))
			}
		}
	})
	defer running.Wait()
	defer close(stop)
	for range 50 {
		r, f := follow(t, src, channelNamed(p+"a"))
		r.count(t, 5)
		f.Close()
		got := eventData(r.all())
		var first int
		if _, err := fmt.Sscan(got[0], &first); err != nil {
			t.Fatal(err)
		}
		for i, s := range got {
			if s != fmt.Sprint(first+i) {
				t.Fatalf("got %q, want consecutive numbers", got)
			}
		}
		if len(gapsIn(r.all())) > 0 {
			t.Fatalf("got a gap in %v", r.all())
		}
	}
}

func manyTopics(t *testing.T, src source.Source) {
	p := namePrefix(t)
	const n = 1500
	recorders := make([]*recordingSink, n)
	following := make([]source.Following, n)
	for i := range n {
		recorders[i] = newRecordingSink(t)
		following[i] = src.Follow(channelNamed(fmt.Sprint(p, i)), recorders[i])
	}
	for i := range n {
		awaitLive(t, following[i])
	}
	for i := range n {
		publish(t, src, fmt.Sprint(p, i), fmt.Sprint(i))
	}
	for i, r := range recorders {
		r.count(t, 1)
		checkValues(t, fmt.Sprint("topic ", i), r.all(), fmt.Sprint(i))
	}
	for _, f := range following {
		f.Close()
	}
}

// readiness returns an error if the source is not ready or if slots of a cluster are not served.
func readiness(ctx context.Context, src source.Source) error {
	unserved, err := src.Ready(ctx)
	if err == nil && len(unserved) > 0 {
		err = fmt.Errorf("slots %s are not served", unserved)
	}
	return err
}

func becomesReady(t *testing.T, src source.Source) {
	eventually(t, "ready", func() bool { return readiness(t.Context(), src) == nil })
}

func noCallAfterClose(t *testing.T, src source.Source) {
	p := namePrefix(t)
	r, f := follow(t, src, channelNamed(p+"a"))
	publish(t, src, p+"a", "1")
	r.count(t, 1)
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = src.Publish(t.Context(), channelNamed(p+"a"), text("2")) // may fail
	f.Close()                                                       // must not panic
	checkValues(t, "the sink", r.all(), "1")
}
