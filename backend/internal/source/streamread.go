package source

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/internal/event"

	"github.com/redis/go-redis/v9"
)

const (
	// fillPage bounds the entries that are read at once to fill a journal.
	fillPage = 64
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

// newest returns the newest entries of a stream, oldest first, as many as fill allows,
// and the state of the stream when the last of them was the newest.
func (s streamReader) newest(ctx context.Context, name string) ([]Entry, StreamState, error) {
	var state StreamState
	var entries []Entry // newest first
	bytes := 0
	r := Range{UpTo: event.MaxStreamID, Count: fillPage, Newest: true}
	for {
		page, err := s.page(ctx, name, r)
		if err != nil {
			return nil, state, err
		}
		if r.UpTo == event.MaxStreamID {
			state = page.State
		}
		for _, e := range page.Entries {
			entries = append(entries, e)
			bytes += len(e.Data)
			r.UpTo = e.ID.Prev()
		}
		if len(page.Entries) < fillPage || len(entries) >= s.fill.Events || bytes >= s.fill.Bytes {
			slices.Reverse(entries)
			return entries, state, nil
		}
	}
}

// page returns entries of a stream, and its state at the same moment.
func (s streamReader) page(ctx context.Context, name string, r Range) (Page, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var found []redis.XMessage
	state, err := s.transact(ctx, name, func(tx redis.Pipeliner) func() error {
		after := "(" + r.After.String()
		switch r.After {
		case event.StreamID{}:
			after = "-"
		case event.MaxStreamID:
			after = "+" // nothing comes after it, and Redis would not take it as a limit
		}
		cmd := tx.XRangeN(ctx, name, after, r.UpTo.String(), int64(r.Count))
		if r.Newest {
			cmd = tx.XRevRangeN(ctx, name, r.UpTo.String(), after, int64(r.Count))
		}
		return func() (err error) { found, err = cmd.Result(); return err }
	})
	if err != nil {
		return Page{}, err
	}
	page := Page{State: state, Entries: make([]Entry, len(found))}
	for i, m := range found {
		page.Entries[i] = entryOf(m)
	}
	return page, nil
}

// transact runs a read together with XINFO STREAM, at one moment.
func (s streamReader) transact(ctx context.Context, name string, read func(redis.Pipeliner) func() error) (StreamState, error) {
	var info *redis.XInfoStreamCmd
	var result func() error
	_, err := s.client.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		result = read(tx)
		info = tx.XInfoStream(ctx, name)
		return nil
	})
	if isNoSuchKey(info.Err()) {
		return StreamState{}, nil
	}
	if isWrongType(err) {
		return StreamState{}, ErrWrongType
	}
	if err != nil {
		return StreamState{}, fmt.Errorf("reading the stream %q: %w", name, err)
	}
	if err := result(); err != nil {
		return StreamState{}, err
	}
	return stateOf(info.Val()), nil
}
