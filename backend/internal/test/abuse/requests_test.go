package abuse_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// open to any client, so authorization does not stop the abuse
var opened = []string{"--allow-subscribe=channel:*,stream:*,key:*", "--allow-publish=channel:*,stream:*,key:*"}

func TestAbuse_HeaderInjectionThroughLastEventID(t *testing.T) {
	t.Parallel()
	g := start(t)
	const evil = "\r\nX-Evil: 1\r\n\r\nevent: evil\ndata: evil\n\n"
	for _, id := range []string{evil, "1-0" + evil, "\n\ndata: evil\n\n", "\rdata: evil\r\r", "\x00", "\u2028data: evil", "channel:updates@" + evil} {
		got := g.send("stream.open", "GET /events?lastEventId="+url.QueryEscape(id)+" HTTP/1.1", "Host: localhost", "Accept: text/event-stream")
		if !strings.HasPrefix(got, "HTTP/1.1 200") || strings.Contains(strings.ToLower(got), "evil") {
			t.Errorf("%q in the query gives %q", id, got)
		}
	}
	for _, id := range []string{"1\rX-Evil: 1", "1\x00", "1\x0bdata: evil"} {
		got := g.send("stream.open", "GET /events HTTP/1.1", "Host: localhost", "Last-Event-ID: "+id)
		if strings.Contains(strings.ToLower(got), "evil") {
			t.Errorf("%q in the header gives %q", id, got)
		}
	}
	g.served("after that")
}

func TestAbuse_DataAfterSubscriptionIsIgnored(t *testing.T) {
	t.Parallel()
	g := start(t, opened...)
	const smuggled = "POST /events?channel=updates HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nsmuggled"
	for name, tt := range map[string]struct{ header, behind string }{
		"after it":                  {"", ""},
		"in its body":               {"Content-Length: 1000\r\n", ""},
		"after its body":            {"Content-Length: 1\r\n", "x"},
		"in chunks that do not end": {"Transfer-Encoding: chunked\r\n", "3e8\r\n"},
		"after the last chunk":      {"Transfer-Encoding: chunked\r\n", "0\r\n\r\n"},
	} {
		conn := g.dial()
		lines := bufio.NewReader(conn)
		write := func(text string) {
			t.Helper()
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		write("GET /events HTTP/1.1\r\nHost: localhost\r\n" + tt.header + "\r\n" + tt.behind + smuggled)
		var got strings.Builder
		readTo := func(enough string) {
			t.Helper()
			for !strings.HasSuffix(got.String(), enough) {
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatalf("%s: want %q, got %q, error %v", name, enough, got.String(), err)
				}
				got.WriteString(line)
			}
		}
		readTo("event: stream.open\n")
		write(smuggled)
		if err := g.direct.Publish(t.Context(), "updates", "the end").Err(); err != nil {
			t.Fatal(err)
		}
		readTo("data: the end\n")
		if strings.Contains(got.String(), "smuggled") || strings.Count(got.String(), "HTTP/1.1") > 1 {
			t.Errorf("%s: got response %q", name, got.String())
		}
	}
}

func TestAbuse_TopicNamesWithControlCharacters(t *testing.T) {
	t.Parallel()
	g := start(t, opened...)
	for c := range 0x20 {
		for _, kind := range []string{"channel", "stream", "key"} {
			path := fmt.Sprintf("/events?%s=a%%%02xb", kind, c)
			for _, a := range []answer{g.get(path), g.do(http.MethodPost, path, strings.NewReader("x"))} {
				if a.status != http.StatusBadRequest || !strings.Contains(a.body, "control character") {
					t.Errorf("%s: got status %d, body %s", path, a.status, a.body)
				}
			}
		}
	}
	if n, err := g.direct.DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("got %d keys in Redis, error %v", n, err)
	}
}

// numbered repeats a format with consecutive numbers.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestAbuse_ManyQueryParameters(t *testing.T) {
	t.Parallel()
	g := start(t, opened...)
	for name, query := range map[string]string{
		"100,000 topics":           strings.Repeat("channel=a&", 100_000),
		"100,000 empty names":      strings.Repeat("a&", 100_000),
		"as many as fit":           strings.Repeat("a&", 30_000),
		"as many topics as fit":    strings.Repeat("channel=a&", 6_000),
		"as many others as fit":    numbered("key=%d&", 5_000),
		"as many separators":       strings.Repeat("&", 60_000),
		"one name of many letters": "channel=" + strings.Repeat("a", 60_000),
	} {
		got := g.send("\r\n\r\n", "GET /events?"+query+" HTTP/1.1", "Host: localhost")
		var status int
		if _, err := fmt.Sscanf(got, "HTTP/1.1 %d", &status); err != nil || status != 200 && status/100 != 4 {
			t.Errorf("%s: got response %.100q", name, got)
		}
		if len(query) > 100_000 && status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: the status is %d", name, status)
		}
	}
	g.served("after that")
}

func TestAbuse_GiganticCursors(t *testing.T) {
	t.Parallel()
	g := start(t, opened...)
	fits := 60 << 10
	for name, cursor := range map[string]string{
		"one letter":     strings.Repeat("a", fits),
		"digits":         strings.Repeat("9", fits),
		"separators":     strings.Repeat(".", fits),
		"at signs":       strings.Repeat("@", fits),
		"parts":          strings.Repeat("a1b2c3:1-0,", fits/11),
		"an entry's id":  strings.Repeat("9", fits/2) + "-" + strings.Repeat("9", fits/2-1),
		"percent signs":  strings.Repeat("%41", fits/3),
		"semicolons":     strings.Repeat(";", fits),
		"almost a topic": "channel:" + strings.Repeat("x", fits) + "@0",
	} {
		for _, query := range []string{"channel=a", "stream=a", "key=a", "channel=a&channel=b*&stream=c&key=d*"} {
			got := g.send("\n\n", "GET /events?"+query+" HTTP/1.1", "Host: localhost", "Last-Event-ID: "+cursor)
			if !strings.HasPrefix(got, "HTTP/1.1 200") || !strings.Contains(got, "event: stream.open\n") || strings.Contains(got, cursor[:1000]) {
				t.Errorf("%s for %s: got response %.300q", name, query, got)
			}
		}
	}
	got := g.send("\r\n\r\n", "GET /events HTTP/1.1", "Host: localhost", "Last-Event-ID: "+strings.Repeat("9", 1<<20))
	if !strings.HasPrefix(got, "HTTP/1.1 431") {
		t.Errorf("a cursor of a mebibyte gives %.100q", got)
	}
	g.served("after that")
}

func TestAbuse_OversizedNDJSONLines(t *testing.T) {
	t.Parallel()
	g := start(t, opened...)
	s := g.subscribe("?channel=a")
	line := strings.Repeat("x", 1<<20)
	for name, body := range map[string]string{
		"a line":                     line + "x\n",
		"a line after another":       "1\n" + line + "\n",
		"lines without an end":       strings.Repeat("x\n", 1<<20),
		"a line that never ends":     strings.Repeat(line, 20),
		"one after many empty lines": strings.Repeat("\n", 1<<20) + "x",
	} {
		for how, reader := range map[string]io.Reader{
			"in one":    strings.NewReader(body),
			"in chunks": struct{ io.Reader }{strings.NewReader(body)},
		} {
			a, err := g.try(http.MethodPost, "/events?channel=a", reader, "Content-Type", "application/x-ndjson")
			if err == nil && a.status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s, %s,: got status %d, body %.200s", name, how, a.status, a.body)
			}
		}
	}
	a := g.do(http.MethodPost, "/events?channel=a", strings.NewReader("first\n"+line[:1<<20-6]), "Content-Type", "application/x-ndjson")
	if a.status != http.StatusOK {
		t.Errorf("maximum size: got status %d, body %s", a.status, a.body)
	}
	if got := s.next(); got != "first" {
		t.Errorf("got %.100q of a rejected request", got)
	}
}

// backtracking returns globs that match a name of only the letter a in very many ways, except for
// their end.
func backtracking(end string) []string {
	return []string{
		strings.Repeat("*a", 500) + end,
		strings.Repeat("a*", 500) + end,
		strings.Repeat("*", 1000) + end,
		strings.Repeat("?*", 500) + end,
		strings.Repeat("[^b]*", 200) + end,
		strings.Repeat("*[a-z]", 170) + end,
		strings.Repeat("*a", 20) + end,
	}
}

// Redis matches the globs of subscribers with the names of all messages and keys.
func TestAbuse_BacktrackingGlobs(t *testing.T) {
	t.Parallel()
	g := start(t, opened...)
	name := strings.Repeat("a", 1000)
	write := func(value string) {
		t.Helper()
		if err := g.direct.Publish(t.Context(), name, value).Err(); err != nil {
			t.Fatalf("publishing: %v", err)
		}
		if err := g.direct.Set(t.Context(), name, value, 0).Err(); err != nil {
			t.Fatalf("setting a key: %v", err)
		}
	}
	write("before") // so a key exists when globs are followed
	for _, glob := range append(backtracking("b"), "["+strings.Repeat("a-", 500)) {
		g.subscribe("?channel=" + url.QueryEscape(glob))
		g.subscribe("?key=" + url.QueryEscape(glob))
		write("while it is followed: " + glob)
		if a := g.get("/events?stream=" + url.QueryEscape(glob)); a.status != http.StatusBadRequest {
			t.Errorf("a glob of streams: got status %d", a.status)
		}
	}
	matching := g.subscribe("?key=" + url.QueryEscape(strings.Repeat("*a", 500)))
	write("after that")
	for got := matching.next(); got != "after that"; got = matching.next() {
		if !strings.HasPrefix(got, "while it is followed") {
			t.Fatalf("got %.100q for the matching key", got)
		}
	}
	g.served("after that")
}

// The gateway itself compares requested topics with granted ones.
func TestAbuse_BacktrackingGrants(t *testing.T) {
	t.Parallel()
	allowed := []string{"channel:updates"}
	for _, glob := range backtracking("c") {
		allowed = append(allowed, "channel:"+glob, "stream:"+glob, "key:"+glob)
	}
	list := strings.Join(allowed, ",")
	g := start(t, "--allow-subscribe="+list, "--allow-publish="+list)
	refused := func(method, topic string) {
		t.Helper()
		if a := g.do(method, "/events?"+topic, strings.NewReader("x")); a.status != http.StatusUnauthorized {
			t.Errorf("%s of %.20s: got status %d, body %.200s", method, topic, a.status, a.body)
		}
	}
	for _, kind := range []string{"channel=", "stream=", "key="} {
		name := strings.Repeat("a", 1000)
		refused(http.MethodGet, kind+name)
		refused(http.MethodPost, kind+name)
	}
	for _, kind := range []string{"channel=", "key="} {
		for _, glob := range backtracking("b") {
			refused(http.MethodGet, kind+url.QueryEscape(glob))
		}
		for _, glob := range backtracking("c") {
			g.subscribe("?" + kind + url.QueryEscape(glob))
		}
	}
	g.served("after that")
}

func TestAbuse_LargeKeys(t *testing.T) {
	t.Parallel()
	g := start(t, opened...)
	const size = 100 << 20
	for _, tt := range []struct{ kind, fill, change string }{
		{"string", "redis.call('SETRANGE', KEYS[1], ARGV[1], 'x')", "redis.call('APPEND', KEYS[1], 'x')"},
		{
			"hash",
			"for i = 1, 1000 do redis.call('HSET', KEYS[1], i, 'small') end redis.call('HSET', KEYS[1], 'large', string.rep('x', ARGV[1]))",
			"redis.call('HINCRBY', KEYS[1], 'changes', 1)",
		},
		{
			"list",
			"for i = 1, 1000 do redis.call('RPUSH', KEYS[1], 'small') end redis.call('RPUSH', KEYS[1], string.rep('x', ARGV[1]))",
			"redis.call('LPUSH', KEYS[1], 'small')",
		},
	} {
		name := []string{"large:" + tt.kind}
		if err := g.direct.Eval(t.Context(), tt.fill, name, size).Err(); err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		subscribers := []*subscriber{g.subscribe("?key=" + name[0]), g.subscribe("?key=" + name[0]), g.subscribe("?key=" + name[0] + "*")}
		for _, s := range subscribers {
			if got, want := s.next(), fmt.Sprintf(`{"reason":"too large","type":%q}`, tt.kind); got != want {
				t.Errorf("got value %.100q, want %q", got, want)
			}
		}
		for range 10 {
			if err := g.direct.Eval(t.Context(), tt.change, name).Err(); err != nil && !errors.Is(err, redis.Nil) {
				t.Fatal(err)
			}
		}
		if err := g.direct.Set(t.Context(), name[0], "small", 0).Err(); err != nil {
			t.Fatal(err)
		}
		for _, s := range subscribers {
			if got := s.next(); got != "small" {
				t.Errorf("got %.100q after it", got)
			}
		}
	}
	var sent int64
	info := g.direct.InfoMap(t.Context(), "stats").Val()["Stats"]["total_net_output_bytes"]
	if _, err := fmt.Sscan(info, &sent); err != nil || sent > size/2 {
		t.Errorf("got %s bytes sent by Redis, error %v", info, err)
	}
	g.served("after that")
}

func TestAbuse_CORSWithCredentials(t *testing.T) {
	t.Parallel()
	const evil = "https://evil.example.com"
	for _, origins := range []string{"*", "https://app.example.com"} {
		g := start(t, "--cors-origins="+origins)
		for _, origin := range []string{evil, "null", "https://app.example.com.evil.com", "https://evilapp.example.com", "http://app.example.com", "https://app.example.com:444"} {
			for _, a := range []answer{
				g.get("/stats", "Origin", origin, "Cookie", "sluice_token=x"),
				g.do(http.MethodOptions, "/events", nil, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"),
			} {
				if got := a.header.Get("Access-Control-Allow-Credentials"); got != "" && a.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("with --cors-origins=%s, a page of %s may use cookies", origins, origin)
				}
				if got := a.header.Get("Access-Control-Allow-Origin"); got == origin || got == "*" && origins != "*" {
					t.Errorf("with --cors-origins=%s, the response to %s allows %s", origins, origin, got)
				}
			}
		}
	}
}
