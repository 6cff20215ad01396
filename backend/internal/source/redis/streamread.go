package redis

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/internal/event"
	"sluice/internal/source"
)

const (
	// fillPage bounds the entries that are read at once to fill a journal.
	fillPage = 64
	// streamBatch bounds the entries of any page.
	streamBatch = 512
	// firstPage is the number of entries of a page before their size is known.
	firstPage = 4
	// pageGrowth bounds the growth from one page to the next.
	pageGrowth = 8
	// pageTarget is the number of bytes that a page aims at.
	pageTarget = 1 << 20
	// readTimeout bounds the time without data during a read, wherever a cluster's client has to
	// look for the stream.
	readTimeout = 5 * time.Second
)

// streamReader reads entries together with the state of their stream, in one transaction: only
// the state shows whether entries were trimmed before they were read.
type streamReader struct {
	client  redis.UniversalClient // for single entries of any size
	limited redis.UniversalClient // with replies of at most about maxReply
	state   *stateReader
	fill    source.Fill
}

// newest returns the newest entries of a stream, oldest first, as many as fill allows, and
// the state of the stream when the last of them was the newest. It returns no entry from
// before the newest deleted id, since others may have been deleted there.
func (s streamReader) newest(ctx context.Context, name string, size *pageSize) (source.Page, error) {
	var found source.Page // newest first
	bytes := 0
	r := source.Range{UpTo: event.MaxStreamID, Newest: true}
	for done := false; !done; {
		r.Count = min(size.count(), fillPage)
		n := len(found.Entries)
		if n > 0 { // the oldest is read again, to see that the stream is the same
			r.Count++
		}
		page, err := s.sizedPage(ctx, name, r, size)
		if err != nil {
			return source.Page{}, err
		}
		entries := page.Entries
		switch {
		case n == 0:
			found.State = page.State
		case len(entries) > 0 && remember(entries[0]) == remember(found.Entries[n-1]):
			entries = entries[1:]
		default:
			entries = nil // it was removed
		}
		done = !page.More || len(entries) == 0
		for _, e := range entries {
			if !page.State.Deleted.Before(e.ID) {
				done = true
				break
			}
			found.Entries = append(found.Entries, e)
			bytes += len(e.Data)
			r.UpTo = e.ID
		}
		done = done || len(found.Entries) >= s.fill.Events || bytes >= s.fill.Bytes
	}
	slices.Reverse(found.Entries)
	return found, nil
}

// pageSize adapts the number of entries of a page to their size, since Redis cannot bound
// a reply in bytes.
type pageSize int

func (p *pageSize) count() int {
	return max(int(*p), 1)
}

// observe records how many bytes a number of entries had.
func (p *pageSize) observe(entries, bytes int) {
	if entries > 0 {
		fitting := max(pageTarget*entries/max(bytes, 1), 1)
		*p = pageSize(min(p.count()*pageGrowth, fitting, streamBatch))
	}
}

// sizedPage reads a page and adapts size. A page that is too large or times out is read again
// with fewer entries, but with at least two if it is a page of more, since the first may be an
// entry that was read before.
func (s streamReader) sizedPage(ctx context.Context, name string, r source.Range, size *pageSize) (source.Page, error) {
	client, least := s.limited, min(r.Count, 2)
	for {
		page, err := s.page(ctx, client, name, r)
		tooLarge := errors.Is(err, errReplyTooLarge)
		switch {
		case err == nil:
			bytes := 0
			for _, e := range page.Entries {
				bytes += len(e.Data)
			}
			size.observe(len(page.Entries), bytes)
			return page, nil
		case tooLarge && r.Count == least:
			client = s.client
			continue
		case r.Count == least, ctx.Err() != nil, !tooLarge && !mayBeTooLarge(err):
			return page, err
		}
		r.Count = max(r.Count/2, least)
		*size = pageSize(r.Count)
	}
}

// mayBeTooLarge reports whether an error may be due to the size of the reply: it timed out, or
// Redis closed the connection, as it does if the reply exceeds client-output-buffer-limit.
func mayBeTooLarge(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// page returns entries of a stream, and its state at the same moment.
func (s streamReader) page(ctx context.Context, client redis.UniversalClient, name string, r source.Range) (source.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	command, from, to := "XRANGE", "("+r.After.String(), r.UpTo.String()
	switch r.After {
	case event.StreamID{}:
		from = "-"
	case event.MaxStreamID:
		from = "+" // no id follows, and Redis refuses it as an exclusive limit
	}
	if r.Newest {
		command, from, to = "XREVRANGE", to, from
	}
	// XMessage would keep only one of several fields of a name.
	found := redis.NewSliceCmd(ctx, command, name, from, to, "COUNT", r.Count)
	state, err := s.state.readWith(ctx, client, name, found)
	if err != nil {
		return source.Page{}, err
	}
	entries, err := parseEntries(found.Val())
	return source.Page{State: state, Entries: entries, More: len(entries) == r.Count}, err
}
