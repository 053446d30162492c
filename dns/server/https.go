package server

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/netip"
	"sync"

	"github.com/miekg/dns"
)

// dnsMessage is the media type of a message (RFC 8484 section 6).
const dnsMessage = "application/dns-message"

// maxQueryHTTP is the longest query taken over HTTP, in octets.
const maxQueryHTTP = 4096

// HTTPS answers DNS queries over HTTP (RFC 8484), GET and POST, for a server of somebody else to mount; the path is
// /dns-query by custom. Copies of zones and updates are not to be had that way.
func (s *Server) HTTPS() http.Handler {
	workers := sync.Pool{New: func() any { return newResponder(s.settings, s.overHTTPS) }}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		query, status, err := queryOf(w, req)
		if err != nil {
			http.Error(w, err.Error(), status)
			return
		}
		r := workers.Get().(*responder)
		defer workers.Put(r)
		r.tick(s.now())
		response := r.respond(nil, query, clientOf(req), overHTTPS)
		if len(response) == 0 {
			http.Error(w, "the message is no DNS query", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", dnsMessage)
		w.Header().Set("Cache-Control", freshness(response))
		_, _ = w.Write(response) // whoever does not wait for the answer need not have it
	})
}

// queryOf takes the query out of a request (RFC 8484 section 4.1); status goes with the error.
func queryOf(w http.ResponseWriter, req *http.Request) (query []byte, status int, err error) {
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		text := req.URL.Query().Get("dns")
		if text == "" {
			return nil, http.StatusBadRequest, errors.New("the parameter dns is missing: the query in base64url (RFC 8484)")
		}
		if len(text) > base64.RawURLEncoding.EncodedLen(maxQueryHTTP) {
			return nil, http.StatusRequestURITooLong, fmt.Errorf("the query is longer than %d octets", maxQueryHTTP)
		}
		if query, err = base64.RawURLEncoding.DecodeString(text); err != nil {
			return nil, http.StatusBadRequest, fmt.Errorf("the parameter dns is not base64url without padding: %w", err)
		}
		return query, 0, nil
	case http.MethodPost:
		if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || kind != dnsMessage {
			return nil, http.StatusUnsupportedMediaType, errors.New("the content type must be " + dnsMessage)
		}
		query, err = io.ReadAll(http.MaxBytesReader(w, req.Body, maxQueryHTTP))
		var tooLong *http.MaxBytesError
		switch {
		case errors.As(err, &tooLong):
			return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the query is longer than %d octets", maxQueryHTTP)
		case err != nil:
			return nil, http.StatusBadRequest, fmt.Errorf("reading the query: %w", err)
		}
		return query, 0, nil
	}
	w.Header().Set("Allow", "GET, HEAD, POST")
	return nil, http.StatusMethodNotAllowed, errors.New("ask with GET or POST (RFC 8484)")
}

func clientOf(req *http.Request) netip.AddrPort {
	from, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// freshness says how long an HTTP cache may keep a response: as long as the record of it that lives shortest, or, of a
// negative one, as its SOA says; any other not at all (RFC 8484 section 5.1).
func freshness(response []byte) string {
	var m dns.Msg
	if m.Unpack(response) != nil || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return "no-store"
	}
	age := uint32(math.MaxUint32)
	for _, rr := range m.Answer {
		age = min(age, rr.Header().Ttl)
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			age = min(age, soa.Hdr.Ttl, soa.Minttl)
		} else if len(m.Answer) == 0 {
			age = min(age, rr.Header().Ttl)
		}
	}
	if age == math.MaxUint32 {
		return "no-store"
	}
	return fmt.Sprintf("max-age=%d", age)
}
