package server

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hanse-federation/hanse/dns/wire"
)

// counters are what one worker counts. Workers do not share them, so that counting costs no cache line its owner.
type counters struct {
	_       [64]byte
	queries [transports][typeSlots][rcodeSlots]atomic.Uint64
	dropped atomic.Uint64
	panics  atomic.Uint64
	// limited counts responses over the rate.
	limited atomic.Uint64
	// refused counts connections over the limits.
	refused atomic.Uint64
	_       [64]byte
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

func (c *counters) count(by transport, t wire.Type, rcode wire.Rcode) {
	c.queries[by][typeSlot(t)][rcodeSlot(rcode)].Add(1)
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
		"Responses, by transport, type of question and response code.", []string{"transport", "type", "rcode"}, nil)
	droppedDesc = prometheus.NewDesc("hanse_dns_dropped_total",
		"Queries without a response: invalid (no query at all, or not sendable), limited (over the response rate; half "+
			"of them were answered truncated), overflow (no room in the socket's buffer), connections (over the limits), "+
			"panic (a defect).",
		[]string{"reason"}, nil)
	connectionsDesc = prometheus.NewDesc("hanse_dns_connections", "Open TCP and TLS connections.", nil, nil)
	serialDesc      = prometheus.NewDesc("hanse_dns_snapshot_serial",
		"Serial of the snapshot that answers come from.", nil, nil)
	namesDesc  = prometheus.NewDesc("hanse_dns_zone_names", "Names that exist in a zone.", []string{"zone"}, nil)
	signedDesc = prometheus.NewDesc("hanse_dns_signatures_total",
		"DNSSEC signatures: made, or withheld because too many names were made up in that second.", []string{"result"}, nil)
	loadedDesc = prometheus.NewDesc("hanse_dns_snapshot_loaded",
		"1 once there is a snapshot to answer from, else 0.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *Server) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queriesDesc, droppedDesc, connectionsDesc, serialDesc, namesDesc, loadedDesc, signedDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector: it adds up what the workers have counted.
func (s *Server) Collect(ch chan<- prometheus.Metric) {
	dropped := map[string]uint64{}
	for by := range transports {
		for t := range typeSlots {
			for rc := range rcodeSlots {
				var n uint64
				for _, c := range s.counters {
					n += c.queries[by][t][rc].Load()
				}
				if n > 0 {
					ch <- prometheus.MustNewConstMetric(queriesDesc, prometheus.CounterValue, float64(n),
						transportNames[by], typeLabel(t), rcodeLabel(rc))
				}
			}
		}
	}
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
