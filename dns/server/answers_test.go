package server

import (
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/hanse-federation/hanse/dns/querylog"
	"github.com/hanse-federation/hanse/dns/zone"
)

// weighted is a zone with a name of which each target has its weight.
func weighted(serial uint32, answer zone.Answer, targets ...zone.Target) zone.Config {
	return zone.Config{Serial: serial, Seed: 1, Zones: []zone.Zone{{
		Origin: "w.test", NameServers: []zone.NameServer{{Name: "ns.elsewhere."}},
		Services: []zone.Service{{Name: "web", Answer: answer, Targets: targets}},
		Records:  []zone.Record{{Name: "alias", Type: "CNAME", Data: "web"}},
	}}}
}

func targetOf(cluster string, weight uint32, addresses ...string) zone.Target {
	t := zone.Target{Cluster: cluster, Weight: weight}
	for _, a := range addresses {
		t.Addresses = append(t.Addresses, netip.MustParseAddr(a))
	}
	return t
}

// told are the values of a metric, by its labels.
func told(t *testing.T, c prometheus.Collector, name string) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			got[labelsOf(m)] = m.GetCounter().GetValue()
		}
	}
	return got
}

func labelsOf(m *dto.Metric) string {
	text := ""
	for _, l := range m.Label {
		text += l.GetName() + "=" + l.GetValue() + " "
	}
	return text
}

// TestAnswersOfTargets: what is counted stands as the weights do, whatever the answer is made of.
func TestAnswersOfTargets(t *testing.T) {
	const queries = 20000
	for _, tt := range []struct {
		name    string
		answer  zone.Answer
		targets []zone.Target
		kind    uint16
		want    map[string]float64 // shares
	}{
		{"staircase", zone.Staircase, []zone.Target{targetOf("a", 5, "10.0.0.1", "10.0.0.2"), targetOf("b", 3, "10.0.1.1"), targetOf("c", 2, "10.0.2.1")},
			dns.TypeA, map[string]float64{"a": .5, "b": .3, "c": .2}},
		{"single", zone.Single, []zone.Target{targetOf("a", 4, "10.0.0.1"), targetOf("b", 1, "10.0.1.1")},
			dns.TypeA, map[string]float64{"a": .8, "b": .2}},
		{"two families", zone.Single, []zone.Target{targetOf("a", 4, "10.0.0.1", "2001:db8::1"), targetOf("b", 1, "10.0.1.1", "2001:db8::2")},
			dns.TypeTXT, map[string]float64{"a": 0, "b": 0}},
		{"names", zone.Single, []zone.Target{{Cluster: "a", Weight: 4, Hostname: "lb.a.example."}, {Cluster: "b", Weight: 1, Hostname: "lb.b.example."}},
			dns.TypeA, map[string]float64{"a": 1}}, // the draws of such names follow the client
		{"nothing", zone.Staircase, []zone.Target{targetOf("a", 0, "10.0.0.1"), targetOf("b", 1, "10.0.1.1")},
			dns.TypeA, map[string]float64{"a": 0, "b": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(Config{Listen: []string{"127.0.0.1:0"}, Snapshot: storeOf(t, weighted(1, tt.answer, tt.targets...))})
			if err != nil {
				t.Fatal(err)
			}
			r := newResponder(s.settings, s.newCounters())
			packet, alias := packed(t, "web.w.test.", tt.kind, true), packed(t, "alias.w.test.", tt.kind, true)
			for i := range queries {
				if i%2 == 0 {
					packet, alias = alias, packet
				}
				r.respond(nil, packet, client, overUDP)
			}
			got := told(t, s, "hanse_dns_answers_total")
			total := 0.0
			for _, n := range got {
				total += n
			}
			for target, share := range tt.want {
				n := got["name=web.w.test. target="+target+" "]
				if total == 0 && share != 0 || total > 0 && math.Abs(n/total-share) > .02 && tt.name != "names" {
					t.Errorf("%s: %v of %v answers, want %.0f%%", target, n, total, 100*share)
				}
			}
			if want := float64(queries); tt.kind == dns.TypeA && total != want {
				t.Errorf("%v answers counted, want %v: %v", total, want, got)
			}
		})
	}
}

// TestAnswersFollowTheSnapshot: an address counts for whoever has it, a name that is served no more is forgotten, and
// names without end do not fill the memory.
func TestAnswersFollowTheSnapshot(t *testing.T) {
	store := storeOf(t, weighted(1, "", targetOf("a", 1, "10.0.0.1"), targetOf("b", 0, "10.0.0.2")))
	s, err := New(Config{Listen: []string{"127.0.0.1:0"}, Snapshot: store})
	if err != nil {
		t.Fatal(err)
	}
	r := newResponder(s.settings, s.newCounters())
	ask := func(name string) { r.respond(nil, packed(t, name, dns.TypeA, true), client, overUDP) }
	set := func(c zone.Config) {
		t.Helper()
		if err := store.Set(c); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want map[string]float64) {
		t.Helper()
		if diff := cmp.Diff(want, told(t, s, "hanse_dns_answers_total")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	ask("web.w.test.")
	set(weighted(2, "", targetOf("a", 0, "10.0.0.2"), targetOf("b", 1, "10.0.0.1"))) // they have swapped
	ask("web.w.test.")
	ask("web.w.test.")
	expect("after a change", map[string]float64{"name=web.w.test. target=a ": 1, "name=web.w.test. target=b ": 2})
	set(zone.Config{Serial: 3, Zones: []zone.Zone{{Origin: "w.test", NameServers: []zone.NameServer{{Name: "ns.elsewhere."}}}}})
	ask("web.w.test.")
	expect("after it has gone", map[string]float64{})
	many := benchZone(maxTallies + 10)
	many.Serial = 4
	set(many)
	for i := range maxTallies + 10 {
		ask(fmt.Sprintf("s%d.bench.test.", i))
	}
	got := told(t, s, "hanse_dns_answers_total")
	if got["name= target= "] != 10 || len(got) != 1+3*maxTallies {
		t.Errorf("%v answers of names beyond the limit, want 10; %d series", got["name= target= "], len(got))
	}
}

// TestQueriesAreWatched: the log has what was asked and answered while somebody watches, and costs no memory.
func TestQueriesAreWatched(t *testing.T) {
	ring := &querylog.Ring{}
	s, err := New(Config{
		Listen: []string{"127.0.0.1:0"}, Snapshot: storeOf(t, weighted(1, "", targetOf("a", 1, "10.0.0.1"))), Queries: ring,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newResponder(s.settings, s.newCounters())
	r.tick(s.now())
	out, web := make([]byte, 0, maxUDPSize), packed(t, "wEb.w.test.", dns.TypeA, true)
	r.respond(out, web, client, overUDP) // unseen
	watcher := ring.Watch()
	r.respond(out, web, client, overUDP)
	r.respond(out, packed(t, "nope.w.test.", dns.TypeAAAA, false), client, overTCP)
	r.respond(out, []byte("nonsense"), client, overUDP)
	queries, missed := watcher.Next(nil)
	var got []string
	for i := range queries {
		q := &queries[i]
		rcode := q.Rcode.String()
		if q.Size == 0 {
			rcode = "-"
		}
		got = append(got, fmt.Sprint(q.Client, " ", q.Transport, " ", q.Name(), " ", q.Type, " ", q.RD, q.DO, " ", rcode, " ", q.Target))
	}
	want := []string{
		"192.0.2.200:5353 udp web.w.test. A true false NOERROR a",
		"192.0.2.200:5353 tcp nope.w.test. AAAA true false NXDOMAIN ",
		"192.0.2.200:5353 udp  TYPE0 false false - ",
	}
	if diff := cmp.Diff(want, got); diff != "" || missed != 0 {
		t.Errorf("%d missed (-want +got):\n%s", missed, diff)
	}
	if n := testing.AllocsPerRun(200, func() { r.respond(out, web, client, overUDP) }); n > 0 {
		t.Errorf("%v allocations a query while somebody watches", n)
	}
	watcher.Close()
	if ring.IsOn() {
		t.Error("the log is on, and nobody watches")
	}
}
