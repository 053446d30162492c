package member

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// nowhere is the address of a member that refuses connections.
func nowhere(t *testing.T, name Name) Spec {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return Spec{Name: name, Config: Config{Server: "https://" + l.Addr().String()}}
}

func ended(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not end", what)
	}
}

// recorder hears of changes and of lives.
type recorder struct {
	mu      sync.Mutex
	changed map[Name]int
	lives   []context.Context
	members []*Member
}

func (r *recorder) change(name Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed[name]++
}

func (r *recorder) join(ctx context.Context, m *Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lives, r.members = append(r.lives, ctx), append(r.members, m)
}

func (r *recorder) heard(name Name) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed[name]
}

func newFleet(ctx context.Context) (*Fleet, *recorder) {
	f, r := NewFleet(ctx, Options{}), &recorder{changed: map[Name]int{}}
	f.OnJoin(r.join)
	f.OnChange(r.change)
	return f, r
}

// A connection lives from Keep to Drop; what is kept again is the same one.
func TestLife(t *testing.T) {
	f, heard := newFleet(t.Context())
	f.Keep(nowhere(t, "west"))
	f.Keep(nowhere(t, "east"))
	f.Keep(nowhere(t, "east")) // another address, the same member
	var names []Name
	for _, m := range f.Members() {
		names = append(names, m.Name())
	}
	if diff := cmp.Diff([]Name{"east", "west"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(heard.members) != 2 || heard.heard("east") == 0 {
		t.Errorf("%d joined, %d changes of east were told", len(heard.members), heard.heard("east"))
	}
	east, _ := f.Get("east")
	if !slices.Contains(heard.members, east) {
		t.Error("another connection was told than the one that is kept")
	}
	before := heard.heard("east")
	f.Drop("east")
	if _, ok := f.Get("east"); ok {
		t.Error("a dropped member is still there")
	}
	if heard.heard("east") <= before {
		t.Error("that east went was not told")
	}
	ended(t, "the connection", east.Done())
	if west, _ := f.Get("west"); isDone(west.Done()) {
		t.Error("west ended with east")
	}
	f.Drop("nobody")
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// A Cluster that is deleted and made again is another connection with another life; the end of the first one does not
// reach the second.
func TestMadeAgain(t *testing.T) {
	f, heard := newFleet(t.Context())
	f.Keep(nowhere(t, "east"))
	first, _ := f.Get("east")
	f.Drop("east")
	f.Keep(nowhere(t, "east"))
	second, ok := f.Get("east")
	if !ok || first == second {
		t.Fatalf("made again it is %p, before %p", second, first)
	}
	ended(t, "the first connection", first.Done())
	ended(t, "the first life", heard.lives[0].Done())
	if isDone(second.Done()) || heard.lives[1].Err() != nil {
		t.Error("the second ended with the first")
	}
	if now, _ := f.Get("east"); now != second {
		t.Error("the late end of the first took the second out")
	}
}

// Everything ends with the fleet.
func TestEnd(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	f, _ := newFleet(ctx)
	f.Keep(nowhere(t, "east"))
	east, _ := f.Get("east")
	end()
	ended(t, "the connection", east.Done())
}
