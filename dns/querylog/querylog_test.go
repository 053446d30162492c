package querylog

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-federation/hanse/dns/wire"
)

func query(size int) *Query { return &Query{Size: size} }

func sizes(queries []Query) (all []int) {
	for i := range queries {
		all = append(all, queries[i].Size)
	}
	return all
}

func TestRing(t *testing.T) {
	var r Ring
	r.Record(query(1)) // nobody watches
	one := r.Watch()
	r.Record(query(2))
	two := r.Watch()
	r.Record(query(3))
	for _, tt := range []struct {
		name    string
		watcher *Watcher
		want    []int
	}{{"the first", one, []int{2, 3}}, {"the second", two, []int{3}}, {"the second again", two, nil}} {
		got, missed := tt.watcher.Next(nil)
		if diff := cmp.Diff(tt.want, sizes(got)); diff != "" || missed != 0 {
			t.Errorf("%s watcher: %d missed (-want +got):\n%s", tt.name, missed, diff)
		}
	}
	for i := range ringSize + 5 {
		r.Record(query(i))
	}
	got, missed := one.Next(nil)
	if len(got) != ringSize || got[0].Size != 5 || missed != 5 {
		t.Errorf("%d queries from %d, %d missed; want the last %d, and 5 missed", len(got), got[0].Size, missed, ringSize)
	}
	one.Close()
	if !r.IsOn() {
		t.Error("off while one watches")
	}
	two.Close()
	if r.IsOn() || (*Ring)(nil).IsOn() {
		t.Error("on while nobody watches")
	}
}

// TestALateWorker: who began to record for a watcher that has gone holds up nobody who watches next.
func TestALateWorker(t *testing.T) {
	var r Ring
	first := r.Watch()
	late := r.current.Load()
	first.Close()
	second := r.Watch()
	defer second.Close()
	late.record(query(1))
	r.Record(query(2))
	if got, missed := second.Next(nil); !cmp.Equal(sizes(got), []int{2}) || missed != 0 {
		t.Errorf("%v, %d missed; want the query that came since", sizes(got), missed)
	}
}

// TestManyWorkers: every query is seen or counted as missed, once, whoever records meanwhile.
func TestManyWorkers(t *testing.T) {
	const workers, each = 4, 20000
	var r Ring
	w := r.Watch()
	defer w.Close()
	var group sync.WaitGroup
	for n := range workers {
		group.Go(func() {
			for i := range each {
				r.Record(query(n*each + i))
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	seen, missed := map[int]bool{}, uint64(0)
	for isLast := false; ; {
		queries, more := w.Next(nil)
		missed += more
		for i := range queries {
			if seen[queries[i].Size] {
				t.Fatalf("query %d was seen twice", queries[i].Size)
			}
			seen[queries[i].Size] = true
		}
		if isLast {
			break
		}
		select {
		case <-done:
			isLast = true
		default:
		}
	}
	if uint64(len(seen))+missed != workers*each {
		t.Errorf("%d seen and %d missed of %d", len(seen), missed, workers*each)
	}
}

// TestServe goes the whole way of some queries.
func TestServe(t *testing.T) {
	var r Ring
	server := httptest.NewServer(Serve(&r))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	q := &Query{
		At: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).UnixNano(), Took: 12500, Client: netip.MustParseAddrPort("192.0.2.1:53"),
		Transport: "udp", Type: wire.TypeA, DO: true, Size: 60, Target: "east",
	}
	q.SetName([]byte("\x03web\x04test\x00"))
	var got []Line
	enough := errors.New("enough")
	err := Read(ctx, server.Client(), server.URL, func() {
		for range ringSize + 1 {
			r.Record(q)
		}
	}, func(l Line) error {
		got = append(got, l)
		if len(got) == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	got[0].Time = time.Time{}
	want := []Line{{Missed: 1}, {
		Time: time.Unix(0, q.At).UTC(), Client: "192.0.2.1:53", Transport: "udp", Name: "web.test.", Type: "A", Flags: []string{"do"},
		Rcode: "NOERROR", Size: 60, Micros: 12.5, Target: "east",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for end := time.Now().Add(10 * time.Second); r.IsOn(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the log is still on, and nobody watches")
		}
	}
	if response, err := http.Post(server.URL, "", nil); err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v %v", response, err)
	}
}
