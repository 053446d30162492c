package server

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// counters are what one worker counts. Workers do not share them, so that counting costs no cache line its owner.
type counters struct {
	_       [64]byte
	mu      sync.Mutex
	byZone  map[wire.Name]*zoneCounters // guarded by mu
	latency [transports]latencies
	answers answers
	dropped atomic.Uint64
	panics  atomic.Uint64
	// limited counts responses over the rate.
	limited atomic.Uint64
	// refused counts connections over the limits.
	refused atomic.Uint64
	_       [64]byte
}

// zoneCounters count the responses from one zone, or, with an empty origin, those that no zone of ours gave.
type zoneCounters struct {
	origin  wire.Name
	queries [transports][typeSlots][rcodeSlots]atomic.Uint64
}

// latencies is a histogram.
type latencies struct {
	buckets [len(latencyBounds) + 1]atomic.Uint64
	nanos   atomic.Uint64
}

// latencyBounds are the upper ends of the buckets.
var latencyBounds = [...]time.Duration{
	5 * time.Microsecond, 10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond,
	250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond,
	100 * time.Millisecond,
}

// took notes how long some queries took, from being read to their responses being given to the kernel.
func (c *counters) took(by transport, queries int, d time.Duration) {
	if queries == 0 {
		return
	}
	at := 0
	for at < len(latencyBounds) && d > latencyBounds[at] {
		at++
	}
	c.latency[by].buckets[at].Add(uint64(queries))
	c.latency[by].nanos.Add(uint64(queries) * uint64(max(0, d)))
}

// countedTypes have a label of their own; slot 0 is every other type.
var countedTypes = [...]wire.Type{
	0, wire.TypeA, wire.TypeAAAA, wire.TypeCNAME, wire.TypeTXT, wire.TypeSRV, wire.TypeSOA,
	wire.TypeNS, wire.TypePTR, wire.TypeMX,
	wire.TypeCAA, wire.TypeHTTPS, wire.TypeANY,
}

// countedRcodes have a label of their own; every other code is counted in the slot after them.
var countedRcodes = [...]wire.Rcode{
	wire.NoError, wire.FormErr, wire.ServFail, wire.NXDomain, wire.NotImp, wire.Refused, wire.BadVers, wire.BadCookie,
}

const (
	typeSlots  = len(countedTypes)
	rcodeSlots = len(countedRcodes) + 1
)

// count counts a response; tree is the zone that it came from, or nil. The zone counted last is not looked up: most
// queries go to the same one.
func (r *responder) count(by transport, t wire.Type, rcode wire.Rcode, tree *zone.Tree) {
	var origin wire.Name
	if tree != nil {
		origin = tree.Origin
	}
	if r.counted == nil || r.counted.origin != origin {
		r.counted = r.counts.of(origin)
	}
	r.counted.add(by, t, rcode)
	r.told = rcode
}

func (z *zoneCounters) add(by transport, t wire.Type, rcode wire.Rcode) {
	z.queries[by][typeSlot(t)][rcodeSlot(rcode)].Add(1)
}

// of are the counters of one zone.
func (c *counters) of(origin wire.Name) *zoneCounters {
	c.mu.Lock()
	defer c.mu.Unlock()
	z := c.byZone[origin]
	if z == nil {
		if c.byZone == nil {
			c.byZone = map[wire.Name]*zoneCounters{}
		}
		z = &zoneCounters{origin: origin}
		c.byZone[origin] = z
	}
	return z
}

// zones are the counters of all zones.
func (c *counters) zones() []*zoneCounters {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.byZone))
}

func typeSlot(t wire.Type) int {
	for i := 1; i < len(countedTypes); i++ {
		if countedTypes[i] == t {
			return i
		}
	}
	return 0
}

func rcodeSlot(r wire.Rcode) int {
	for i, c := range countedRcodes {
		if c == r {
			return i
		}
	}
	return len(countedRcodes)
}

// What can be seen of a server. Names and labels are an interface to its users.
var (
	queriesDesc = prometheus.NewDesc("hanse_dns_responses_total",
		"Responses, by zone (empty: none of ours), transport, type of question and response code.",
		[]string{"zone", "transport", "type", "rcode"}, nil)
	latencyDesc = prometheus.NewDesc("hanse_dns_response_seconds",
		"Time from reading a query to handing over the response; queries that came together count with the last of them.",
		[]string{"transport"}, nil)
	droppedDesc = prometheus.NewDesc("hanse_dns_dropped_total",
		"Queries without a response: invalid (no query at all, or not sendable), limited (over the response rate; half "+
			"of them were answered truncated), overflow (no room in the socket's buffer), connections (over the limits), "+
			"panic (a defect).",
		[]string{"reason"}, nil)
	connectionsDesc = prometheus.NewDesc("hanse_dns_connections", "Open TCP and TLS connections.", nil, nil)
	serialDesc      = prometheus.NewDesc("hanse_dns_snapshot_serial",
		"Serial of the snapshot that answers come from.", nil, nil)
	ageDesc = prometheus.NewDesc("hanse_dns_snapshot_age_seconds",
		"Time since the hub last said that the snapshot holds; grows while the hub, or the database of a hub, is away. "+
			"-1: it never did.", nil, nil)
	namesDesc  = prometheus.NewDesc("hanse_dns_zone_names", "Names that exist in a zone.", []string{"zone"}, nil)
	signedDesc = prometheus.NewDesc("hanse_dns_signatures_total",
		"DNSSEC signatures: made, or withheld because too many names were made up in that second.", []string{"result"}, nil)
	loadedDesc = prometheus.NewDesc("hanse_dns_snapshot_loaded",
		"1 once there is a snapshot to answer from, else 0.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *Server) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		queriesDesc, latencyDesc, droppedDesc, connectionsDesc, serialDesc, ageDesc, namesDesc, loadedDesc,
		signedDesc, answersDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector: it adds up what the workers have counted.
func (s *Server) Collect(ch chan<- prometheus.Metric) {
	dropped := map[string]uint64{}
	s.collectResponses(ch)
	s.collectLatencies(ch)
	s.collectAnswers(ch)
	for _, c := range s.counters {
		dropped["invalid"] += c.dropped.Load()
		dropped["limited"] += c.limited.Load()
		dropped["connections"] += c.refused.Load()
		dropped["panic"] += c.panics.Load()
	}
	for _, conn := range s.udp {
		dropped["overflow"] += uint64(overflowed(conn))
	}
	for reason, n := range dropped {
		ch <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(n), reason)
	}
	for result, n := range map[string]uint64{
		"made": s.signatures.count.Load(), "withheld": s.signatures.overBudget.Load(),
	} {
		ch <- prometheus.MustNewConstMetric(signedDesc, prometheus.CounterValue, float64(n), result)
	}
	ch <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(s.conns.count()))
	if s.heard != nil {
		ch <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, s.age().Seconds())
	}
	snapshot := s.store.Snapshot()
	if snapshot == nil {
		ch <- prometheus.MustNewConstMetric(loadedDesc, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(loadedDesc, prometheus.GaugeValue, 1)
	ch <- prometheus.MustNewConstMetric(serialDesc, prometheus.GaugeValue, float64(snapshot.Serial()))
	for _, tree := range snapshot.Trees() {
		ch <- prometheus.MustNewConstMetric(namesDesc, prometheus.GaugeValue, float64(tree.Len()), tree.Origin.String())
	}
}

// age is the time since what is served was last said to hold; -1 s if it never was.
func (s *Server) age() time.Duration {
	heard := s.heard()
	if heard.IsZero() {
		return -time.Second
	}
	return s.now().Sub(heard)
}

// collectResponses adds up the workers' counts of each zone.
func (s *Server) collectResponses(ch chan<- prometheus.Metric) {
	type sums [transports][typeSlots][rcodeSlots]uint64
	byZone := map[wire.Name]*sums{}
	for _, c := range s.counters {
		for _, z := range c.zones() {
			sum := byZone[z.origin]
			if sum == nil {
				sum = &sums{}
				byZone[z.origin] = sum
			}
			for by := range transports {
				for t := range typeSlots {
					for rc := range rcodeSlots {
						sum[by][t][rc] += z.queries[by][t][rc].Load()
					}
				}
			}
		}
	}
	for origin, sum := range byZone {
		label := ""
		if origin != "" {
			label = origin.String()
		}
		for by := range transports {
			for t := range typeSlots {
				for rc := range rcodeSlots {
					if n := sum[by][t][rc]; n > 0 {
						ch <- prometheus.MustNewConstMetric(queriesDesc, prometheus.CounterValue, float64(n),
							label, transportNames[by], typeLabel(t), rcodeLabel(rc))
					}
				}
			}
		}
	}
}

// collectLatencies adds up the workers' histograms.
func (s *Server) collectLatencies(ch chan<- prometheus.Metric) {
	for by := range transports {
		var count, nanos uint64
		buckets := map[float64]uint64{}
		for i := range len(latencyBounds) + 1 {
			for _, c := range s.counters {
				count += c.latency[by].buckets[i].Load()
			}
			if i < len(latencyBounds) {
				buckets[latencyBounds[i].Seconds()] = count
			}
		}
		for _, c := range s.counters {
			nanos += c.latency[by].nanos.Load()
		}
		if count > 0 {
			ch <- prometheus.MustNewConstHistogram(latencyDesc, count, float64(nanos)/1e9, buckets, transportNames[by])
		}
	}
}

func typeLabel(slot int) string {
	if slot == 0 {
		return "other"
	}
	return countedTypes[slot].String()
}

func rcodeLabel(slot int) string {
	if slot == len(countedRcodes) {
		return "other"
	}
	return countedRcodes[slot].String()
}
