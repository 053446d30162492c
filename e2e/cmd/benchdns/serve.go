package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/server"
	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/zone"
)

// serve is this program as a server, until its standard input ends.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	listen := flags.String("listen", "", "address for UDP and TCP")
	listenTLS := flags.String("tls", "", "address for DNS over TLS")
	names := flags.Int("names", 1, "names in the zone")
	isWeighted := flags.Bool("weighted", false, "the names have three targets")
	isSigned := flags.Bool("signed", false, "the zone is signed")
	changes := flags.Int("changes", 0, "changes a second")
	workers := flags.Int("workers", 1, "UDP sockets")
	isPlain := flags.Bool("plain", false, "be a plain server made with miekg/dns")
	snapshot := flags.String("snapshot", "", "file to take the zone from")
	flags.Parse(args)
	if *isPlain {
		return servePlain(*listen, zoneOf(*names, false))
	}
	before := liveHeap()
	store, err := newStore(*snapshot, *names, *isWeighted, *isSigned)
	if err != nil {
		return err
	}
	c := server.Config{Listen: []string{*listen}, Workers: *workers, Snapshot: store}
	if *listenTLS != "" {
		certificate, err := newCertificate()
		if err != nil {
			return err
		}
		c.ListenTLS, c.TLS = []string{*listenTLS}, &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	s, err := server.New(c)
	if err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	defer s.Close()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	debug.FreeOSMemory() // as hanse dns does after its start
	changer := &changer{store: store, names: *names}
	if *changes > 0 {
		go changer.run(*changes)
	}
	return answerControl(func() self {
		out := changer.told()
		out.LiveHeap = liveHeap() - before
		out.LongestStop = longestStop()
		return out
	})
}

func newStore(file string, names int, isWeighted, isSigned bool) (*zone.Store, error) {
	store := zone.NewStore()
	if file == "" {
		c := zoneOf(names, isWeighted)
		if isSigned {
			private, err := sign.Generate()
			if err != nil {
				return nil, err
			}
			c.Zones[0].Keys = []zone.Key{{Private: private, Stage: sign.Active}}
		}
		return store, store.Set(c)
	}
	c, err := server.LoadSnapshot(file)
	if err != nil {
		return nil, err
	}
	return store, store.Set(c)
}

// answerControl answers every line with one of JSON.
func answerControl(tell func() self) error {
	out := json.NewEncoder(os.NewFile(3, "control"))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := out.Encode(tell()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// longestStop is the longest time for which the runtime has stopped all goroutines, rounded up to its histogram's
// bucket.
func longestStop() (longest float64) {
	for _, name := range []string{"/sched/pauses/total/gc:seconds", "/sched/pauses/total/other:seconds"} {
		sample := []metrics.Sample{{Name: name}}
		metrics.Read(sample)
		h := sample[0].Value.Float64Histogram()
		for i, n := range h.Counts {
			if n > 0 {
				longest = max(longest, h.Buckets[i+1])
			}
		}
	}
	return longest
}

// changer changes names of a weighted zone.
type changer struct {
	store *zone.Store
	names int

	mu    sync.Mutex
	facts self
}

func (c *changer) told() self {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.facts
}

func (c *changer) run(perSecond int) {
	pace := time.NewTicker(time.Second / time.Duration(perSecond))
	for n := uint32(2); ; n++ {
		<-pace.C
		s := service(int(n*7919)%c.names, n%60+1)
		begun := time.Now()
		if err := c.store.Update(n, zone.Change{Origin: origin, Name: s.Name, Service: s}); err != nil {
			panic(err) // the change is ours, and valid
		}
		took := time.Since(begun).Seconds()
		c.mu.Lock()
		c.facts.Changes++
		c.facts.LongestChange = max(c.facts.LongestChange, took)
		c.mu.Unlock()
	}
}

// servePlain is what one writes first with miekg/dns: a map and a handler.
func servePlain(listen string, c zone.Config) error {
	answers := map[string][]dns.RR{}
	for _, r := range c.Zones[0].Records {
		name := r.Name + "." + origin + "."
		answers[name] = append(answers[name], &dns.A{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300},
			A:   netip.MustParseAddr(r.Data).AsSlice(),
		})
	}
	soa := &dns.SOA{
		Hdr: dns.RR_Header{Name: origin + ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 30},
		Ns:  "ns1." + origin + ".", Mbox: "hostmaster." + origin + ".",
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 30,
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		var m dns.Msg
		m.SetReply(q)
		m.Authoritative, m.Compress = true, true
		name := dns.CanonicalName(q.Question[0].Name)
		switch {
		case name == origin+".":
			m.Answer = []dns.RR{soa}
		case answers[name] != nil:
			m.Answer = answers[name]
		default:
			m.Rcode, m.Ns = dns.RcodeNameError, []dns.RR{soa}
		}
		if opt := q.IsEdns0(); opt != nil {
			m.SetEdns0(1232, opt.Do())
		}
		_ = w.WriteMsg(&m) // nobody to tell
	})
	for _, network := range []string{"udp", "tcp"} {
		s := &dns.Server{Addr: listen, Net: network, Handler: handler, UDPSize: 4096, MaxTCPQueries: -1}
		go s.ListenAndServe()
	}
	return answerControl(func() self { return self{} })
}

// newCertificate is one for 127.0.0.1, made on the spot.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// writeCertificate puts a new certificate and its key into dir, as <result>.crt and <result>.key.
func writeCertificate(dir string) (string, error) {
	c, err := newCertificate()
	if err != nil {
		return "", err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return "", err
	}
	base := filepath.Join(dir, "tls")
	for suffix, block := range map[string]*pem.Block{
		".crt": {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, ".key": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(base+suffix, pem.EncodeToMemory(block), 0o600); err != nil {
			return "", err
		}
	}
	return base, nil
}
