package runs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tmaxmax/go-sse"

	"sluice/benchmarks/internal/rig"
)

const (
	endEvent = "stream.end"
	// endSuffix is the suffix of a cursor at the end.
	endSuffix = ".end"
	// maxPause bounds the time before a reconnect.
	maxPause = 100 * time.Millisecond
)

// httpClient opens a new connection for each request, as a browser does after a drop.
var httpClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// viewer reads one run from its first token and audits it.
type viewer struct {
	urls   []string      // URLs of the run, one for each gateway
	next   int           // index of the URL of the next request
	tokens int           // number of tokens of the run
	life   time.Duration // mean time after which the viewer drops a connection

	lastID   string
	received int           // number of the newest token
	ended    bool          // the end was received
	drops    int           // connections that the viewer dropped
	join     time.Duration // time from the request to the first token, on the connection with that token
}

// watch reads the run until a request gets the status 204. It returns an error at the first violation of
// the contract, or if ctx ends.
func (v *viewer) watch(ctx context.Context) error {
	for {
		done, err := v.connect(ctx)
		if done || err != nil {
			return err
		}
		v.next = rand.IntN(len(v.urls))
		if err := rig.Sleep(ctx, rand.N(maxPause)); err != nil {
			return err
		}
	}
}

// connect reads one connection. It returns true if the response was 204 after the end.
func (v *viewer) connect(ctx context.Context) (done bool, err error) {
	connection, leave := context.WithCancel(ctx)
	defer leave()
	life := time.Duration(rand.ExpFloat64() * float64(v.life))
	drop := time.AfterFunc(life, leave)
	defer drop.Stop()
	if v.received == 0 {
		drop.Stop() // a drop would hide a slow join
	}
	requested := time.Now()
	response, err := v.request(connection)
	if err != nil {
		return false, v.unlessDropped(ctx, connection, err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNoContent && v.ended:
		return true, nil
	case response.StatusCode != http.StatusOK || v.ended:
		return false, fmt.Errorf("got the status %s; end received: %t", response.Status, v.ended)
	}
	for e, err := range sse.Read(response.Body, nil) {
		if err != nil {
			return false, v.unlessDropped(ctx, connection, err)
		}
		if err := v.receive(e); err != nil {
			return false, err
		}
		switch {
		case v.ended:
			drop.Stop() // the server must close the connection
		case v.join == 0 && v.received > 0:
			v.join = time.Since(requested)
			drop.Reset(life)
		}
	}
	if !v.ended {
		return false, v.unlessDropped(ctx, connection, errors.New("the connection ended before the end of the run"))
	}
	return false, nil
}

func (v *viewer) request(ctx context.Context) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.urls[v.next], nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	if v.lastID != "" {
		request.Header.Set("Last-Event-ID", v.lastID)
	}
	return httpClient.Do(request)
}

// unlessDropped returns nil and counts a drop if the viewer dropped the connection, else err.
func (v *viewer) unlessDropped(ctx, connection context.Context, err error) error {
	if connection.Err() == nil || ctx.Err() != nil {
		return err
	}
	v.drops++
	return nil
}

// receive records an event. It returns an error if the event may not follow the earlier ones.
func (v *viewer) receive(e sse.Event) error {
	if e.LastEventID != "" {
		v.lastID = e.LastEventID
	}
	switch {
	case e.Type == "stream.open", e.Type == "stream.ping":
		return nil
	case v.ended:
		return fmt.Errorf("got an event %q after the end: %s", e.Type, e.Data)
	case e.Type == "" && v.received < v.tokens && e.Data == strconv.Itoa(v.received+1):
		v.received++
		return nil
	case e.Type == endEvent && v.received == v.tokens && e.Data == strconv.Itoa(v.tokens) && strings.HasSuffix(e.LastEventID, endSuffix):
		v.ended = true
		return nil
	}
	return fmt.Errorf("got an event %q with the id %q: %s", e.Type, e.LastEventID, e.Data)
}
