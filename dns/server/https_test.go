package server

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestHTTPS: what is answered over HTTP is what is answered over TCP, kept as long as the records allow; and what is no
// query gets an HTTP error.
func TestHTTPS(t *testing.T) {
	s := start(t, Config{Snapshot: storeOf(t, transferring(updatable(t), keys)), Updater: &notebook{}})
	web := httptest.NewServer(s.HTTPS())
	defer web.Close()
	get := func(packet []byte) (*http.Request, error) {
		return http.NewRequest("GET", web.URL+"/dns-query?dns="+base64.RawURLEncoding.EncodeToString(packet), nil)
	}
	post := func(kind string, body []byte) (*http.Request, error) {
		req, err := http.NewRequest("POST", web.URL+"/dns-query", bytes.NewReader(body))
		if err == nil {
			req.Header.Set("Content-Type", kind)
		}
		return req, err
	}
	plain := func(method, path string) (*http.Request, error) { return http.NewRequest(method, web.URL+path, nil) }
	packed := func(name string, qtype uint16) []byte { return packed(t, name, qtype, true) }
	update, err := challenge(t, "_acme-challenge.c.test.", testKey).Pack()
	if err != nil {
		t.Fatal(err)
	}
	first := func(req *http.Request, err error) *http.Request {
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	for _, tt := range []struct {
		what     string
		req      *http.Request
		status   int
		freshFor string
		rcode    int
	}{
		{"GET", first(get(packed("www.c.test.", dns.TypeA))), 200, "max-age=300", dns.RcodeSuccess},
		{"POST", first(post(dnsMessage, packed("www.c.test.", dns.TypeA))), 200, "max-age=300", dns.RcodeSuccess},
		{"POST with a parameter", first(post(dnsMessage+"; x=y", packed("www.c.test.", dns.TypeA))), 200, "max-age=300", dns.RcodeSuccess},
		{"more than fits UDP", first(get(packed("big.c.test.", dns.TypeA))), 200, "max-age=300", dns.RcodeSuccess},
		{"no such name", first(get(packed("nope.c.test.", dns.TypeA))), 200, "max-age=30", dns.RcodeNameError},
		{"a referral", first(get(packed("x.sub.c.test.", dns.TypeA))), 200, "max-age=300", dns.RcodeSuccess},
		{"another zone", first(get(packed("example.org.", dns.TypeA))), 200, "no-store", dns.RcodeRefused},
		{"a transfer", first(get(packed("c.test.", dns.TypeAXFR))), 200, "no-store", dns.RcodeNotImplemented},
		{"differences", first(get(packed("c.test.", dns.TypeIXFR))), 200, "no-store", dns.RcodeNotImplemented},
		{"an update", first(post(dnsMessage, update)), 200, "no-store", dns.RcodeNotImplemented},
		{"no parameter", first(plain("GET", "/dns-query")), 400, "", 0},
		{"no base64", first(plain("GET", "/dns-query?dns=%21")), 400, "", 0},
		{"no query", first(post(dnsMessage, []byte("hello"))), 400, "", 0},
		{"another type", first(post("text/plain", packed("www.c.test.", dns.TypeA))), 415, "", 0},
		{"too long", first(post(dnsMessage, make([]byte, 5000))), 413, "", 0},
		{"too long in the URL", first(plain("GET", "/dns-query?dns="+strings.Repeat("A", 6000))), 414, "", 0},
		{"another method", first(plain("PUT", "/dns-query")), 405, "", 0},
	} {
		t.Run(tt.what, func(t *testing.T) {
			res, err := web.Client().Do(tt.req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != tt.status || res.Header.Get("Cache-Control") != tt.freshFor {
				t.Fatalf("%s, %q, %v", res.Status, res.Header.Get("Cache-Control"), err)
			}
			if tt.status != 200 {
				if len(body) == 0 {
					t.Error("the error says nothing")
				}
				return
			}
			var m dns.Msg
			if err := m.Unpack(body); err != nil || m.Rcode != tt.rcode || m.Truncated || res.Header.Get("Content-Type") != dnsMessage {
				t.Errorf("%v, %s", err, &m)
			}
		})
	}
}

// TestPadding: a padded query over an encrypted transport gets a padded response, any other does not.
func TestPadding(t *testing.T) {
	r := testResponder(t, probeZone(t))
	for _, name := range []string{"www.c.test.", "big.c.test.", "nope.c.test."} {
		for by, want := range map[transport]bool{overUDP: false, overTCP: false, overTLS: true, overHTTPS: true} {
			var q, m dns.Msg
			q.SetQuestion(name, dns.TypeA)
			q.SetEdns0(1232, false)
			q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 7)}}
			packet, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			out := r.respond(nil, packet, client, by)
			if err := m.Unpack(out); err != nil {
				t.Fatal(err)
			}
			if got := len(m.IsEdns0().Option) > 0; got != want || want && len(out)%468 != 0 {
				t.Errorf("%s over %s: padded %v, %d octets", name, transportNames[by], got, len(out))
			}
		}
	}
}
