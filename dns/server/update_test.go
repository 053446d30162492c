package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/zone"
)

// notebook stores updates in memory.
type notebook struct {
	mu      sync.Mutex
	records []zone.Record
	broken  bool
	held    chan struct{} // if set, an update waits for it
}

func (n *notebook) Update(ctx context.Context, _ string, change func([]zone.Record) ([]zone.Record, error)) error {
	if n.held != nil {
		select {
		case <-n.held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken {
		return errors.New("the disk is full")
	}
	next, err := change(slices.Clone(n.records))
	if err == nil {
		n.records = next
	}
	return err
}

// read is what has been stored.
func (n *notebook) read() []zone.Record {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.records)
}

func updatable(t testing.TB) zone.Config {
	c := probeZone(t)
	c.Zones[0].Updates = []zone.Update{{
		Key: zone.TSIGKey{Name: testKey, Secret: testSecret}, Names: []string{"_acme-challenge.*"}, Types: []string{"TXT"},
	}}
	return c
}

func challenge(t testing.TB, name, key string) *dns.Msg {
	t.Helper()
	var m dns.Msg
	m.SetUpdate("c.test.")
	rr, err := dns.NewRR(name + ` 60 IN TXT "token"`)
	if err != nil {
		t.Fatal(err)
	}
	m.Insert([]dns.RR{rr})
	if key != "" {
		m.SetTsig(key, dns.HmacSHA256, 300, time.Now().Unix())
	}
	return &m
}

// TestUpdate sends messages as cert-manager does, over UDP and TCP: what is signed and allowed is stored before it is
// acknowledged, with a signature; all else is refused.
func TestUpdate(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		for _, tt := range []struct {
			what, name, key, secret string
			broken                  bool
			want, stored            int
		}{
			{"allowed", "_acme-challenge.www.c.test.", testKey, testSecret, false, dns.RcodeSuccess, 1},
			{"not stored", "_acme-challenge.www.c.test.", testKey, testSecret, true, dns.RcodeServerFailure, 0},
			{"another name", "www.c.test.", testKey, testSecret, false, dns.RcodeRefused, 0},
			{"not signed", "_acme-challenge.www.c.test.", "", "", false, dns.RcodeRefused, 0},
			{"signed with an unknown key", "_acme-challenge.www.c.test.", "other.", testSecret, false, dns.RcodeNotAuth, 0},
			{"signed with a wrong key", "_acme-challenge.www.c.test.", testKey, "d3Jvbmctd3JvbmctIHdyb25nLXdyb25nLXdyb25nISE=", false, dns.RcodeNotAuth, 0},
		} {
			t.Run(network+" "+tt.what, func(t *testing.T) {
				n := &notebook{broken: tt.broken}
				s := start(t, Config{Snapshot: storeOf(t, updatable(t)), Updater: n})
				client := dns.Client{Net: network, Timeout: 10 * time.Second, TsigSecret: map[string]string{tt.key: tt.secret}}
				m, _, err := client.Exchange(challenge(t, tt.name, tt.key), s.Addr().String())
				if tt.want != dns.RcodeNotAuth && err != nil {
					t.Fatal(err)
				}
				if m == nil || m.Rcode != tt.want || m.Opcode != dns.OpcodeUpdate {
					t.Errorf("got %v, want %s", m, dns.RcodeToString[tt.want])
				}
				if stored := n.read(); len(stored) != tt.stored {
					t.Errorf("stored: %v", stored)
				}
				if isSigned := m.IsTsig() != nil; isSigned != (tt.key != "") {
					t.Errorf("the response is signed: %v", isSigned)
				}
			})
		}
	}
}

// TestUpdateHoldsUpNothing: while updates wait for a slow store, queries are answered by the same worker, and no more
// than a bounded number of updates is held; closing ends them.
func TestUpdateHoldsUpNothing(t *testing.T) {
	n := &notebook{held: make(chan struct{})}
	s := start(t, Config{Snapshot: storeOf(t, updatable(t)), Updater: n, Workers: 1})
	client := dns.Client{Timeout: 50 * time.Millisecond, TsigSecret: map[string]string{testKey: testSecret}}
	for range updatesAtOnce + 4 {
		var sending sync.WaitGroup
		sending.Go(func() { client.Exchange(challenge(t, "_acme-challenge.c.test.", testKey), s.Addr().String()) })
		sending.Wait()
	}
	if len(s.updating) != updatesAtOnce {
		t.Errorf("%d updates are held, %d may be", len(s.updating), updatesAtOnce)
	}
	if out := askUDP(t, s.Addr(), packed(t, "www.c.test.", dns.TypeA, false)); len(out) == 0 {
		t.Error("a query is not answered")
	}
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Error("the server waits for updates when it closes")
	}
}

// behind forwards to another server over HTTP.
type behind struct {
	url    string
	client *http.Client
}

func (b behind) Forward(_ context.Context, message []byte) ([]byte, error) {
	response, err := b.client.Post(b.url, dnsMessage, bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(response.Body)
}

// TestForwardedUpdate: a server without a store hands updates on as they are, and brings the response back; what is not
// signed does not get that far.
func TestForwardedUpdate(t *testing.T) {
	stored := &notebook{}
	storing := start(t, Config{Snapshot: storeOf(t, updatable(t)), Updater: stored})
	web := httptest.NewServer(storing.Updates())
	defer web.Close()
	forwarding := start(t, Config{Snapshot: storeOf(t, updatable(t)), Forwarder: behind{web.URL, web.Client()}})
	exchange := func(network, name, key, secret string) (int, error) {
		client := &dns.Client{Net: network, TsigSecret: map[string]string{testKey: secret}, Timeout: 5 * time.Second}
		answer, _, err := client.Exchange(challenge(t, name, key), forwarding.Addr().String())
		if answer == nil {
			return 0, err
		}
		return answer.Rcode, err
	}
	for _, network := range []string{"udp", "tcp"} {
		if rcode, err := exchange(network, "_acme-challenge."+network+".c.test.", testKey, testSecret); err != nil || rcode != dns.RcodeSuccess {
			t.Errorf("%s: %s, %v", network, dns.RcodeToString[rcode], err)
		}
	}
	if n := len(stored.read()); n != 2 {
		t.Errorf("%d records are stored, want 2", n)
	}
	if rcode, err := exchange("udp", "www.c.test.", testKey, testSecret); err != nil || rcode != dns.RcodeRefused {
		t.Errorf("another name: %s, %v", dns.RcodeToString[rcode], err)
	}
	if rcode, err := exchange("udp", "_acme-challenge.c.test.", "", ""); err != nil || rcode != dns.RcodeRefused {
		t.Errorf("not signed: %s, %v", dns.RcodeToString[rcode], err)
	}
	web.Close()
	if rcode, err := exchange("tcp", "_acme-challenge.c.test.", testKey, testSecret); err != nil || rcode != dns.RcodeServerFailure {
		t.Errorf("while the other is away: %s, %v", dns.RcodeToString[rcode], err)
	}
	for what, body := range map[string]string{"a query": string(packed(t, "www.c.test.", dns.TypeA, false)), "nothing": "", "nonsense": "nonsense"} {
		request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		request.Header.Set("Content-Type", dnsMessage)
		answer := httptest.NewRecorder()
		storing.Updates().ServeHTTP(answer, request)
		if answer.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", what, answer.Code)
		}
	}
}
