package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hanse-federation/hanse/dns/zone"
)

func config(serial uint32, addresses ...string) zone.Config {
	z := zone.Zone{Origin: "example.org.", NameServers: []zone.NameServer{{Name: "ns.example.net."}}}
	for i, a := range addresses {
		z.Services = append(z.Services, zone.Service{Name: fmt.Sprintf("s%d", i), Targets: []zone.Target{
			{Cluster: "east", Weight: 1, Addresses: []netip.Addr{netip.MustParseAddr(a)}},
		}})
	}
	return zone.Config{Serial: serial, Seed: 7, Zones: []zone.Zone{z}}
}

// start serves a store and follows it into another until the test ends.
func start(t *testing.T, maker, copied *zone.Store) *Follower {
	t.Helper()
	server := httptest.NewServer(Serve(maker, time.Now))
	t.Cleanup(server.Close)
	f := &Follower{URL: server.URL, Client: server.Client(), Store: copied, Now: time.Now}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() { _ = f.Follow(ctx) }()
	return f
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what + ": not within 10 s")
		}
	}
}

func mustSet(t *testing.T, s *zone.Store, c zone.Config) {
	t.Helper()
	if err := s.Set(c); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, s *zone.Store) zone.Config {
	t.Helper()
	c, err := s.Snapshot().Config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFollowerHasWhatTheMakerHas(t *testing.T) {
	maker, copied := zone.NewStore(), zone.NewStore()
	f := start(t, maker, copied) // before there is anything
	serial := uint32(0)
	for _, c := range []zone.Config{
		config(5, "10.0.0.1"), config(6, "10.0.0.1", "10.0.0.2"), config(7, "10.0.0.3"), config(8), config(9, "10.0.0.9"),
		{Serial: 10, Seed: 8}, // everything anew
		config(11, "10.0.0.9"),
	} {
		mustSet(t, maker, c)
		serial = c.Serial
		eventually(t, fmt.Sprintf("serial %d", serial), func() bool { return f.Serial() == serial })
		if want, got := contents(t, maker), contents(t, copied); !reflect.DeepEqual(want, got) {
			t.Fatalf("serial %d: %+v, want %+v", serial, got, want)
		}
	}
	if f.Heard().IsZero() {
		t.Error("does not know when it heard of the maker")
	}
}

// A follower that comes to a maker whose serials are lower takes its contents, and its own serials grow on.
func TestSerialsOfAFollowerOnlyGrow(t *testing.T) {
	maker, copied := zone.NewStore(), zone.NewStore()
	mustSet(t, copied, config(900, "10.0.0.1"))
	mustSet(t, maker, config(20, "10.0.0.2"))
	f := start(t, maker, copied)
	eventually(t, "serial 20", func() bool { return f.Serial() == 20 })
	if got := contents(t, copied); got.Serial != 901 || got.Zones[0].Services[0].Targets[0].Addresses[0].String() != "10.0.0.2" {
		t.Errorf("has %+v, want the contents of 20 as 901", got)
	}
	mustSet(t, maker, config(21, "10.0.0.3"))
	eventually(t, "serial 21", func() bool { return f.Serial() == 21 })
	if got := contents(t, copied); got.Serial != 902 {
		t.Errorf("the serial is %d, want 902", got.Serial)
	}
}

func TestFollowSaysWhyItEnded(t *testing.T) {
	for _, row := range []struct {
		what   string
		answer http.HandlerFunc
		is     error
		says   string
	}{
		{"not let in", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you", http.StatusForbidden) },
			ErrRefused, "who are you"},
		{"no such page", http.NotFound, nil, "404"},
		{"another version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"format": 9}`) },
			ErrFormat, "same version"},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }, nil, "reading"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"format": 1, "serial": 9, "conf`) },
			nil, "unexpected EOF"},
		{"changes of nothing", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, `{"format": 1, "serial": 9, "changes": [{"Origin": "example.org.", "Name": "a"}]}`)
		}, nil, "nothing has been published"},
		{"a zone with a fault", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, `{"format": 1, "serial": 9, "config": {"Serial": 9, "Zones": [{"Origin": "a..b"}]}}`)
		}, nil, "a..b"},
	} {
		server := httptest.NewServer(row.answer)
		store := zone.NewStore()
		f := &Follower{URL: server.URL, Client: server.Client(), Store: store, Now: time.Now}
		err := f.Follow(t.Context())
		server.Close()
		if err == nil || row.is != nil && !errors.Is(err, row.is) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v, want %v with %q", row.what, err, row.is, row.says)
		}
		if store.Snapshot() != nil || f.Serial() != 0 {
			t.Errorf("%s: something was taken over", row.what)
		}
	}
}

func TestServeRefusesOtherMethods(t *testing.T) {
	w := httptest.NewRecorder()
	Serve(zone.NewStore(), time.Now).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST is answered %d", w.Code)
	}
}

// A maker that is cut off from where it has its zones says so, and the follower does not take its word for fresh.
func TestAgeIsPassedOn(t *testing.T) {
	maker, copied := zone.NewStore(), zone.NewStore()
	mustSet(t, maker, config(1, "10.0.0.1"))
	now := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC) // the clock of the follower is wrong, which must not matter
	var asOf time.Time
	server := httptest.NewServer(Serve(maker, func() time.Time { return asOf }))
	defer server.Close()
	f := &Follower{URL: server.URL, Client: server.Client(), Store: copied, Now: func() time.Time { return now }}
	for _, row := range []struct {
		what string
		asOf time.Time
		want func(time.Duration) bool // of the age that the follower knows
	}{
		{"never confirmed", time.Time{}, func(age time.Duration) bool { return age > 1000*time.Hour }},
		{"just confirmed", time.Now(), func(age time.Duration) bool { return age < 10*time.Minute }},
		{"an hour old", time.Now().Add(-time.Hour), func(age time.Duration) bool { return age >= time.Hour && age < 2*time.Hour }},
		{"from the future", time.Now().Add(time.Hour), func(age time.Duration) bool { return age == 0 }},
	} {
		asOf = row.asOf
		before := f.Heard()
		now = now.Add(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Follow(ctx) }()
		eventually(t, row.what+": a message", func() bool { return f.Heard() != before })
		cancel()
		<-ended
		if age := now.Sub(f.AsOf()); !row.want(age) {
			t.Errorf("%s: the follower takes it for %v old", row.what, age)
		}
	}
}
