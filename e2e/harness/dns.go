package harness

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// Ask sends one question to a DNS server, and asks again over TCP if the answer was cut.
func Ask(server, name string, kind uint16) (*dns.Msg, error) {
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), kind)
	client := &dns.Client{Timeout: 5 * time.Second}
	answer, _, err := client.Exchange(question, server)
	if err == nil && answer.Truncated {
		client.Net = "tcp"
		answer, _, err = client.Exchange(question, server)
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s for %s: %w", server, name, err)
	}
	return answer, nil
}

// Addresses are those of the A records in an answer, sorted.
func Addresses(answer *dns.Msg) []netip.Addr {
	var all []netip.Addr
	for _, record := range answer.Answer {
		if a, ok := record.(*dns.A); ok {
			if addr, ok := netip.AddrFromSlice(a.A.To4()); ok {
				all = append(all, addr)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// Shares asks many times and says how the clients divide over the addresses, if each picks evenly among those that it
// was given.
func Shares(server, name string, times int) (map[netip.Addr]float64, error) {
	shares := map[netip.Addr]float64{}
	for range times {
		answer, err := Ask(server, name, dns.TypeA)
		if err != nil {
			return nil, err
		}
		if answer.Rcode != dns.RcodeSuccess {
			return nil, fmt.Errorf("%s: %s", name, dns.RcodeToString[answer.Rcode])
		}
		given := Addresses(answer)
		for _, addr := range given {
			shares[addr] += 1 / float64(len(given)) / float64(times)
		}
	}
	return shares, nil
}
