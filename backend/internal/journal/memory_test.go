package journal_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/journal"
)

func TestMemory_EvictsFromLargestJournals(t *testing.T) {
	t.Parallel()
	const limit = 4 << 20
	memory := journal.NewMemory(limit, testPatience)
	limits := journal.Limits{Events: 1 << 20, Bytes: 1 << 30, Memory: memory}
	small, large := journal.New(limits, "1"), journal.New(limits, "1")
	small.Append(frame(1, "quiet"))
	for n := range uint64(20_000) {
		large.Append(frame(n+1, strings.Repeat("x", 1000)))
		if memory.Held() > limit {
			t.Fatalf("got %d held bytes after %d events", memory.Held(), n)
		}
	}
	if text, _, _ := readAll(t, small, journal.First); text == "" {
		t.Error("the small journal lost its event")
	}
	if memory.Held() < limit/2 {
		t.Errorf("got only %d held bytes", memory.Held())
	}
	large.Close()
	small.Close()
	if memory.Held() != 0 {
		t.Errorf("got %d held bytes at the end", memory.Held())
	}
}

func TestMemory_ValuesEvictFromJournals(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	memory := journal.NewMemory(limit, testPatience)
	j := journal.New(journal.Limits{Events: 1 << 20, Bytes: 1 << 30, Memory: memory}, "1")
	for n := range uint64(500) {
		j.Append(frame(n+1, strings.Repeat("x", 1000)))
	}
	memory.Add(limit/2 - 100)
	for n := range uint64(1000) {
		j.Append(frame(501+n, strings.Repeat("x", 1000)))
	}
	if memory.Full() || memory.Held() > limit || j.Bytes() < limit/8 {
		t.Errorf("got full %v, %d held bytes, %d of them in the journal", memory.Full(), memory.Held(), j.Bytes())
	}
	memory.Add(100)
	if !memory.Full() {
		t.Error("got full false")
	}
}

// testPatience is far longer than any test that does not wait for it.
const testPatience = time.Minute

func TestMemory_ReplaysWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := journal.NewMemory(1000, testPatience)
		large, err := memory.Acquire(t.Context(), 5000, nil)
		if err != nil {
			t.Fatal(err) // a single replay succeeds at any size
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error, 2)
		go func() { got <- second(memory.Acquire(ctx, 1, nil)) }()
		synctest.Wait()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting replay: got error %v", err)
		}
		var small *journal.Lease
		go func() {
			small, err = memory.Acquire(t.Context(), 200, nil)
			got <- err
		}()
		synctest.Wait()
		select {
		case err := <-got:
			t.Errorf("a replay did not wait: got error %v", err)
		default:
		}
		large.Release()
		if err := <-got; err != nil {
			t.Error(err)
		}
		small.Release()
		small.Release()
		if memory.Held() != 0 {
			t.Errorf("got %d held bytes at the end", memory.Held())
		}
	})
}

func TestMemory_RevokesOldestLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := journal.NewMemory(4000, testPatience)
		var leases [4]*journal.Lease
		revoked := make(chan int, len(leases))
		acquire := func(n int, bytes int64) {
			var err error
			if leases[n], err = memory.Acquire(t.Context(), bytes, func() { revoked <- n }); err != nil {
				t.Error(err)
			}
		}
		releaseRevoked := func(want int) {
			n := <-revoked
			if n != want {
				t.Errorf("got lease %d revoked, want the oldest, %d", n, want)
			}
			leases[n].Release()
		}
		acquire(0, 500)
		acquire(1, 400)
		time.Sleep(testPatience / 2)
		leases[0].Resize(600) // its page has just been read
		time.Sleep(testPatience)
		if len(revoked) > 0 {
			t.Error("a lease was revoked although no replay waits")
		}
		start := time.Now()
		go releaseRevoked(1)
		acquire(2, 300)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("an old lease was revoked only after %s", waited)
		}
		leases[0].Resize(600)
		leases[2].Resize(400)
		go releaseRevoked(0)
		acquire(3, 100)
		if waited := time.Since(start); waited != testPatience || len(revoked) > 0 {
			t.Errorf("a new lease was revoked after %s, want %s; %d more were revoked", waited, testPatience, len(revoked))
		}
	})
}

func second(_ *journal.Lease, err error) error { return err }

func TestMemory_ConcurrentAppendsKeepLimit(t *testing.T) {
	t.Parallel()
	const limit = 4 << 20
	memory := journal.NewMemory(limit, testPatience)
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			j := journal.New(journal.Limits{Events: 1 << 20, Bytes: 1 << 30, Memory: memory}, "1")
			for n := range uint64(2000) {
				j.Append(frame(n+1, fmt.Sprint(i, strings.Repeat("x", 1000))))
			}
		})
	}
	running.Wait()
	if held := memory.Held(); held > limit+limit/4 { // an append may be evicting at this moment
		t.Errorf("got %d held bytes", held)
	}
}

func TestMemory_NilIsUnbounded(t *testing.T) {
	t.Parallel()
	var memory *journal.Memory
	memory.Add(1 << 40)
	lease, err := memory.Acquire(t.Context(), 1<<40, nil)
	if err != nil || memory.Full() || memory.Held() != 0 {
		t.Error("a nil Memory is bounded")
	}
	lease.Resize(1)
	lease.Release()
}

// Appends to other journals evict the oldest events of a journal. An open view must keep its
// events.
func TestMemory_ViewPreventsEviction(t *testing.T) {
	t.Parallel()
	memory := journal.NewMemory(1<<20, testPatience)
	limits := journal.Limits{Events: 1 << 20, Bytes: 1 << 30, Memory: memory}
	viewed, other := journal.New(limits, "1"), journal.New(limits, "1")
	for n := range uint64(900) {
		viewed.Append(frame(n+1, strings.Repeat("x", 1000)))
	}
	view := viewed.View()
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		for n := range uint64(900) {
			other.Append(frame(n+1, strings.Repeat("x", 1000)))
		}
	}()
	for memory.Held() <= 1<<20 {
		runtime.Gosched()
	}
	tail, cursor := view.Tail()
	if tail != journal.First || cursor != "1" || view.CursorAt(tail) != cursor || view.Lost(tail) != 0 {
		t.Errorf("in the view: got tail %d with cursor %q", tail, cursor)
	}
	view.Close()
	<-filled
	if tail, _ := tailOf(viewed); tail == journal.First || memory.Held() > 1<<20 {
		t.Errorf("after the view: got tail %d and %d held bytes", tail, memory.Held())
	}
}
