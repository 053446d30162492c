package server

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hanse-federation/hanse/dns/querylog"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// answers count what a worker's answers of balanced names began with: the target that most clients take. In the long
// run the counts of a name stand to one another as the weights do.
type answers struct {
	// recent has lineups where they are found at once, most of them: at a place that follows from the key.
	recent [1 << 10]atomic.Pointer[lineup]
	known  atomic.Pointer[map[uint64]*tally] // by zone.Balanced.Key; never edited
	// beyond counts the answers of names for which there is no room.
	beyond atomic.Uint64

	mu sync.Mutex // for who changes known
}

// maxTallies bounds the names that are counted one by one. Each is as many time series as it has targets.
const maxTallies = 1000

// tally has the counts of one name.
type tally struct {
	name   wire.Name
	lineup atomic.Pointer[lineup]
	counts map[string]*atomic.Uint64 // by target; guarded by answers.mu
}

// lineup says for one version of a service which target an answer begins with, by the data of the first record.
type lineup struct {
	service  *zone.Balanced
	openings []opening // usually a few
}

type opening struct {
	data   string
	target string
	count  *atomic.Uint64
}

// count counts an answer that was drawn, and tells its target; empty if that is not known.
func (a *answers) count(service *zone.Balanced, set *wire.RRset, first int) (target string) {
	l := a.find(service)
	if l == nil {
		a.beyond.Add(1)
		return ""
	}
	head := wire.RecordSize(0)
	record := set.Records[first:]
	data := record[head : head+int(binary.BigEndian.Uint16(record[head-2:]))]
	for i := range l.openings {
		if o := &l.openings[i]; o.data == string(data) {
			o.count.Add(1)
			return o.target
		}
	}
	return ""
}

func (a *answers) find(service *zone.Balanced) *lineup {
	recent := &a.recent[service.Key()%uint64(len(a.recent))]
	if l := recent.Load(); l != nil && l.service == service {
		return l
	}
	if known := a.known.Load(); known != nil {
		if t := (*known)[service.Key()]; t == nil && len(*known) >= maxTallies {
			return nil
		} else if t != nil {
			if l := t.lineup.Load(); l.service == service {
				recent.Store(l)
				return l
			}
		}
	}
	return a.learn(service)
}

// learn gets to know a service, or a new version of it.
func (a *answers) learn(service *zone.Balanced) *lineup {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := map[uint64]*tally{}
	if before := a.known.Load(); before != nil {
		known = *before
	}
	t := known[service.Key()]
	if t == nil {
		if len(known) >= maxTallies {
			return nil
		}
		t = &tally{name: wire.Name(strings.Clone(string(service.Name()))), counts: map[string]*atomic.Uint64{}}
	}
	l := &lineup{service: service}
	for _, target := range service.Service("").Targets {
		count := t.counts[target.Cluster]
		if count == nil {
			count = &atomic.Uint64{}
			t.counts[target.Cluster] = count
		}
		for _, data := range target.Data() {
			l.openings = append(l.openings, opening{string(data), target.Cluster, count})
		}
	}
	t.lineup.Store(l)
	if known[service.Key()] == nil {
		next := maps.Clone(known)
		next[service.Key()] = t
		a.known.Store(&next)
	}
	return l
}

// forget drops the names that are served no more.
func (a *answers) forget(s *zone.Snapshot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.known.Load()
	if known == nil {
		return
	}
	next := maps.Clone(*known)
	maps.DeleteFunc(next, func(_ uint64, t *tally) bool {
		tree := s.Find([]byte(t.name))
		if tree == nil {
			return true
		}
		n := tree.Node([]byte(t.name))
		return n == nil || n.Balanced() == nil
	})
	if len(next) != len(*known) {
		a.known.Store(&next)
	}
}

// answered is a name and a target of it.
type answered struct {
	name   wire.Name
	target string
}

func (a *answers) addTo(sums map[answered]uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := a.beyond.Load(); n > 0 {
		sums[answered{}] += n
	}
	known := a.known.Load()
	if known == nil {
		return
	}
	for _, t := range *known {
		for target, count := range t.counts {
			sums[answered{t.name, target}] += count.Load()
		}
	}
}

var answersDesc = prometheus.NewDesc("hanse_dns_answers_total",
	"Answers of balanced names, by name and by the target that came first. Names beyond the first 1000 are counted "+
		"together, with both labels empty.", []string{"name", "target"}, nil)

// collectAnswers adds up what the workers have counted.
func (s *Server) collectAnswers(ch chan<- prometheus.Metric) {
	sums := map[answered]uint64{}
	snapshot := s.store.Snapshot()
	for _, c := range s.counters {
		if snapshot != nil {
			c.answers.forget(snapshot)
		}
		c.answers.addTo(sums)
	}
	for of, n := range sums {
		name := ""
		if of.name != "" {
			name = of.name.String()
		}
		ch <- prometheus.MustNewConstMetric(answersDesc, prometheus.CounterValue, float64(n), name, of.target)
	}
}

// countTarget counts the answer that the response has, if it was drawn.
func (r *responder) countTarget() {
	for i := range r.response.Answer {
		if set := &r.response.Answer[i]; set.Service != nil {
			r.target = r.counts.answers.count(set.Service, set.RRset, set.First)
			return
		}
	}
}

// record puts the packet that was answered into the log.
func (r *responder) record(response []byte, from netip.AddrPort, by transport) {
	now := r.now().UnixNano()
	q := querylog.Query{
		At: now, Took: time.Duration(now - r.nanos), Client: from, Transport: transportNames[by],
		Rcode: r.told, Size: len(response), Target: r.target,
	}
	if len(r.query.Question) > 0 {
		q.Type, q.RD = r.query.Type, r.query.RD()
		q.DO = r.query.HasEDNS && r.query.EDNS.DO
		q.SetName(r.query.Name())
	}
	r.queries.Record(&q)
}
