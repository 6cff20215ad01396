package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"sluice/internal/event"

	"github.com/redis/go-redis/v9"
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
	// readTimeout bounds one read, wherever a cluster's client has to look for the stream.
	readTimeout = 5 * time.Second
)

// Fill bounds how much of a stream's history is read when it is first followed.
type Fill struct {
	Events int
	Bytes  int
}

// streamReader reads entries together with the state of their stream, in one transaction,
// since only that shows whether some were trimmed before they were read.
type streamReader struct {
	client redis.UniversalClient
	fill   Fill
}

// newest returns the newest entries of a stream, oldest first, as many as fill allows, and
// the state of the stream when the last of them was the newest. It returns no entry from
// before the newest deleted id, since others may have been deleted there.
func (s streamReader) newest(ctx context.Context, name string, size *pageSize) (Page, error) {
	var found Page // newest first
	bytes := 0
	r := Range{UpTo: event.MaxStreamID, Newest: true}
	for done := false; !done; {
		r.Count = min(size.count(), fillPage)
		n := len(found.Entries)
		if n > 0 { // the oldest is read again, to see that the stream is the same
			r.Count++
		}
		page, err := s.sizedPage(ctx, name, r, size)
		if err != nil {
			return Page{}, err
		}
		entries := page.Entries
		if n == 0 {
			found.State = page.State
		} else if len(entries) > 0 && remember(entries[0]) == remember(found.Entries[n-1]) {
			entries = entries[1:]
		} else {
			break
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

// observe records a page that was read.
func (p *pageSize) observe(entries []Entry) {
	if len(entries) == 0 {
		return
	}
	bytes := 1
	for _, e := range entries {
		bytes += len(e.Data)
	}
	fitting := max(pageTarget*len(entries)/bytes, 1)
	*p = pageSize(min(p.count()*pageGrowth, fitting, streamBatch))
}

// sizedPage reads a page and adapts size. A page that is too large for a read is read again
// with fewer entries.
func (s streamReader) sizedPage(ctx context.Context, name string, r Range, size *pageSize) (Page, error) {
	for {
		page, err := s.page(ctx, name, r)
		if err == nil {
			size.observe(page.Entries)
			return page, nil
		}
		if r.Count <= 1 || ctx.Err() != nil || !mayBeTooLarge(err) {
			return page, err
		}
		r.Count /= 2
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
func (s streamReader) page(ctx context.Context, name string, r Range) (Page, error) {
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
	state, err := s.transact(ctx, name, found)
	if err != nil {
		return Page{}, err
	}
	entries, err := entriesOf(found.Val())
	return Page{State: state, Entries: entries, More: len(entries) == r.Count}, err
}

// transact runs a read together with XINFO STREAM, at one moment.
func (s streamReader) transact(ctx context.Context, name string, read redis.Cmder) (StreamState, error) {
	info := redis.NewXInfoStreamCmd(ctx, name)
	_, err := s.client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		_ = tx.Process(ctx, read)
		return tx.Process(ctx, info)
	})
	// The transaction's own error may hide why a command was refused.
	for _, err := range []error{read.Err(), info.Err()} {
		if err := refusal(err); isRefusal(err) {
			return StreamState{}, err
		}
	}
	if isNoSuchKey(info.Err()) {
		return StreamState{}, nil
	}
	if err != nil {
		return StreamState{}, fmt.Errorf("reading the stream %q: %w", name, err)
	}
	return stateOf(info.Val()), nil
}

// states returns the states of streams, or why they cannot be read.
func (s streamReader) states(ctx context.Context, names []string) ([]StreamState, []error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	pipe := s.client.Pipeline()
	infos := make([]*redis.XInfoStreamCmd, len(names))
	for i, name := range names {
		infos[i] = pipe.XInfoStream(ctx, name)
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	states, errs := make([]StreamState, len(names)), make([]error, len(names))
	for i, info := range infos {
		switch err := info.Err(); {
		case err == nil:
			states[i] = stateOf(info.Val())
		case !isNoSuchKey(err):
			errs[i] = err
		}
	}
	return states, errs
}
