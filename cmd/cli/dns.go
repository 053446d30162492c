package cli

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"

	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// defaultDNSPort is where a hub answers unless it is told otherwise.
const defaultDNSPort = "8053"

func newDNS(hub *access) *cobra.Command {
	var server nameserverFlags
	c := &cobra.Command{
		Use:   "dns",
		Short: "Run a DNS server away from the hub, or ask one",
		Long: `Run a DNS server that answers what the hub does, in this process, until it is interrupted.

It follows the hub, keeps what it heard last on disk, and goes on answering while the hub is away, also after a restart.
Any number of them can run; hanse dns servers lists them. A second process on the same --data-dir and --listen takes
over from the first without losing a query: that is how to upgrade.

hanse dns kubeconfig makes an account on the hub that may do this and nothing else.`,
		Example: `  hanse dns kubeconfig edge > dns.kubeconfig
  hanse dns --kubeconfig dns.kubeconfig --data-dir /var/lib/hanse-dns --listen 192.0.2.53:53
  hanse dns servers
  hanse dns lookup web.shop.example.org`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runNameserver(c, hub, server) },
	}
	server.add(c.Flags())
	_ = c.MarkFlagDirname("data-dir")
	c.AddCommand(newLookup(hub), newZoneKeys(hub), newDNSServers(hub), newDNSKubeconfig(hub), newDNSExport(hub), newDNSLog(hub))
	return c
}

// lookup is one question, asked often.
type lookup struct {
	name, kind string
	from       string
	server     string
	count      int
	tcp        bool
	// isExplained: the hub is asked, which can say why.
	isExplained bool
}

func newLookup(hub *access) *cobra.Command {
	q := lookup{}
	c := &cobra.Command{
		Use:   "lookup NAME",
		Short: "What clients of a name are answered",
		Long: `Ask the hub's DNS server for a name, as a resolver would, and say why this is the answer: which members are
eligible, their weights and shares, and which are answered together.

With --server another DNS server is asked, which explains nothing. With --from the answer is that of clients in a network (EDNS client subnet, RFC 7871). With --count the question is
asked often, and the table says which share of the first places each answer got.`,
		Example: `  hanse dns lookup web.example.org
  hanse dns lookup web.example.org --count 300
  hanse dns lookup web.example.org --from 203.0.113.0/24`,
		Args: oneArg("the NAME"),
	}
	output := formatFlag(c, asJSON, asYAML, asName)
	c.RunE = func(c *cobra.Command, args []string) error {
		q.name, q.isExplained = dns.Fqdn(args[0]), q.server == ""
		if err := q.resolveServer(hub); err != nil {
			return err
		}
		if err := runLookup(c, q, *output); err != nil || !q.isExplained || q.count != 1 || *output != asTable {
			return err
		}
		return q.explain(c, hub)
	}
	f := c.Flags()
	f.StringVar(&q.kind, "type", "A", "type of the records")
	f.StringVar(&q.from, "from", "", "network or address of the clients to ask for")
	f.StringVar(&q.server, "server", "", "address of the DNS server (default: the hub's host, port "+defaultDNSPort+")")
	f.IntVar(&q.count, "count", 1, "how often to ask")
	f.BoolVar(&q.tcp, "tcp", false, "ask by TCP")
	return c
}

// resolveServer fills in host and port of the server.
func (q *lookup) resolveServer(hub *access) error {
	if q.server == "" {
		config, err := hub.config()
		if err != nil {
			return err
		}
		address, err := url.Parse(config.Host)
		if err != nil {
			return fmt.Errorf("reading the address of the hub: %w", err)
		}
		q.server = address.Hostname()
	}
	if _, _, err := net.SplitHostPort(q.server); err != nil {
		q.server = net.JoinHostPort(strings.Trim(q.server, "[]"), defaultDNSPort)
	}
	return nil
}

// question is the packet to send.
func (q *lookup) question() (*dns.Msg, error) {
	kind, ok := dns.StringToType[strings.ToUpper(q.kind)]
	if !ok {
		return nil, usagef("--type %q is no type of DNS record", q.kind)
	}
	if _, ok := dns.IsDomainName(q.name); !ok {
		return nil, usagef("%q is no DNS name", q.name)
	}
	if q.count < 1 {
		return nil, usagef("--count %d: ask at least once", q.count)
	}
	m := new(dns.Msg).SetQuestion(q.name, kind)
	m.SetEdns0(1232, false)
	if q.from == "" {
		return m, nil
	}
	subnet, err := clientSubnet(q.from)
	if err != nil {
		return nil, err
	}
	m.IsEdns0().Option = append(m.IsEdns0().Option, subnet)
	return m, nil
}

// clientSubnet is the option of RFC 7871 for an address or network.
func clientSubnet(from string) (*dns.EDNS0_SUBNET, error) {
	prefix, err := netip.ParsePrefix(from)
	if err != nil {
		address, err := netip.ParseAddr(from)
		if err != nil {
			return nil, usagef("--from %q is neither an address nor a network", from)
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	family := uint16(1)
	if prefix.Addr().Is6() {
		family = 2
	}
	return &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(prefix.Bits()),
		Address: prefix.Masked().Addr().AsSlice()}, nil
}

// exchange asks once, and again by TCP if the answer did not fit.
func (q *lookup) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	client := &dns.Client{Timeout: 3 * time.Second}
	if q.tcp {
		client.Net = "tcp"
	}
	answer, _, err := client.ExchangeContext(ctx, m, q.server)
	if err == nil && answer.Truncated && !q.tcp {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(ctx, m, q.server)
	}
	if err != nil {
		return nil, &enroll.Problem{Reason: enroll.Unreachable, What: "the DNS server at " + q.server + " does not answer",
			Err:  err,
			Next: "Name another with --server; the hub says at its start where it listens (--dns-listen)."}
	}
	return answer, nil
}

// explain prints why the hub answers so.
func (q *lookup) explain(c *cobra.Command, hub *access) error {
	config, err := hub.config()
	if err != nil {
		return err
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client for the hub: %w", err)
	}
	from, _, _ := strings.Cut(q.from, "/")
	said, err := d.RESTClient().Get().AbsPath("/dns/explain").Param("name", q.name).Param("type", q.kind).
		Param("from", from).DoRaw(c.Context())
	if err != nil {
		_, err = fmt.Fprintf(c.ErrOrStderr(), "why this is the answer is not known: %v\n", err)
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "\n%s", said)
	return err
}

func runLookup(c *cobra.Command, q lookup, output format) error {
	m, err := q.question()
	if err != nil {
		return err
	}
	p := startProgress(c.ErrOrStderr())
	defer p.stop()
	first := map[string]int{} // answers by what stood first
	var answer *dns.Msg
	for i := range q.count {
		p.say(fmt.Sprintf("asking %s (%d of %d)", q.server, i+1, q.count))
		m.Id = dns.Id()
		if answer, err = q.exchange(c.Context(), m); err != nil {
			return err
		}
		if answer.Rcode != dns.RcodeSuccess {
			return refusal(q, answer.Rcode)
		}
		if len(answer.Answer) > 0 {
			first[strings.TrimPrefix(answer.Answer[0].String(), answer.Answer[0].Header().String())]++
		}
	}
	p.stop()
	if q.count == 1 {
		return recordTable(q, answer).print(c, output)
	}
	return shareTable(q, first).print(c, output)
}

// refusal explains an answer code.
func refusal(q lookup, rcode int) error {
	next := "See the log of the hub."
	switch rcode {
	case dns.RcodeNameError:
		next = "kubectl get globalservices -A lists the names that are answered."
	case dns.RcodeRefused:
		next = "The name lies in no zone of the hub: kubectl get zones lists them."
	}
	return &enroll.Problem{What: fmt.Sprintf("%s answers %s for %s", q.server, dns.RcodeToString[rcode], q.name),
		Next: next}
}

// record is one row of an answer.
type record struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	TTL   uint32 `json:"ttl"`
	Value string `json:"value"`
}

func recordTable(q lookup, answer *dns.Msg) printed {
	p := printed{head: []string{"NAME", "TYPE", "TTL", "VALUE"},
		empty: fmt.Sprintf("%s exists, but has no %s record", q.name, strings.ToUpper(q.kind))}
	records := []record{}
	for _, rr := range answer.Answer {
		h := rr.Header()
		r := record{h.Name, dns.TypeToString[h.Rrtype], h.Ttl, strings.TrimPrefix(rr.String(), h.String())}
		records = append(records, r)
		p.names = append(p.names, r.Value)
		p.rows = append(p.rows, []string{r.Name, r.Type, fmt.Sprint(r.TTL), r.Value})
	}
	p.value = records
	return p
}

// share is how often an answer stood first.
type share struct {
	Value string `json:"value"`
	First int    `json:"first"`
	Share string `json:"share"`
}

func shareTable(q lookup, first map[string]int) printed {
	p := printed{head: []string{"VALUE", "FIRST", "SHARE"},
		empty: fmt.Sprintf("%s exists, but has no %s record", q.name, strings.ToUpper(q.kind))}
	shares := []share{}
	for value, n := range first {
		shares = append(shares, share{value, n, fmt.Sprintf("%.1f%%", 100*float64(n)/float64(q.count))})
	}
	slices.SortFunc(shares, func(a, b share) int {
		if a.First != b.First {
			return b.First - a.First
		}
		return strings.Compare(a.Value, b.Value)
	})
	for _, s := range shares {
		p.names = append(p.names, s.Value)
		p.rows = append(p.rows, []string{s.Value, fmt.Sprint(s.First), s.Share})
	}
	p.value = shares
	return p
}
