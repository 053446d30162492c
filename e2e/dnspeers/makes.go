package dnspeers

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// Zone is what an authoritative peer serves: a file, or the copy of a primary.
type Zone struct {
	Origin string
	// File is a zone file, for a peer that is a primary. It is ignored with Primary.
	File string
	// Primary is where the zone is copied from; KeyName and Secret are the TSIG key (hmac-sha256) for that, and for
	// those who copy it from the peer.
	Primary         netip.AddrPort
	KeyName, Secret string
	// Listen is where the peer listens; the zero value is a free port.
	Listen netip.AddrPort
	// TLS, if valid, is where the peer takes DNS over TLS, with the given files. NSD and BIND can.
	TLS              netip.AddrPort
	Certificate, Key string
	// Resources are those of gdnsd's plugin "weighted", as its configuration has them.
	Resources string
}

// Make is a kind of server. Packages are those it needs.
type Make struct {
	Name     string
	Packages []string

	program string
	args    []string // %[1]s is the configuration file, %[2]s its directory
	file    string   // name of the configuration file
	config  *template.Template
}

// setup is what configurations are made from.
type setup struct {
	Zone
	Addr netip.AddrPort
	Dir  string
}

// Host is the address without port.
func (s setup) Host() string { return s.Addr.Addr().String() }

// IsSecondary says that the zone is a copy.
func (s setup) IsSecondary() bool { return s.Primary.IsValid() }

// NSD serves with one process.
var NSD = Make{
	Name: "nsd", Packages: []string{"nsd"}, program: "nsd", args: []string{"-d", "-c", "%[1]s"}, file: "nsd.conf",
	config: parse(`server:
  ip-address: {{.Host}}@{{.Addr.Port}}
  username: ""
  chroot: ""
  zonesdir: "{{.Dir}}"
  database: ""
  pidfile: "{{.Dir}}/nsd.pid"
  xfrdfile: "{{.Dir}}/xfrd.state"
  zonelistfile: "{{.Dir}}/zone.list"
  xfrdir: "{{.Dir}}"
  server-count: 1
  rrl-ratelimit: 0
  verbosity: 1
  tcp-query-count: 0
{{if .TLS.IsValid}}  ip-address: {{.TLS.Addr}}@{{.TLS.Port}}
  tls-port: {{.TLS.Port}}
  tls-service-key: "{{.Key}}"
  tls-service-pem: "{{.Certificate}}"
{{end}}remote-control:
  control-enable: no
{{if .KeyName}}key:
  name: "{{.KeyName}}"
  algorithm: hmac-sha256
  secret: "{{.Secret}}"
{{end}}zone:
  name: "{{.Origin}}"
{{if .IsSecondary}}  zonefile: "nsd.zone"
  request-xfr: {{.Primary.Addr}}@{{.Primary.Port}} {{.KeyName}}
  allow-notify: 127.0.0.1 {{.KeyName}}
  provide-xfr: 127.0.0.1 {{.KeyName}}
{{else}}  zonefile: "{{.File}}"
{{end}}`),
}

// Knot serves with one worker for UDP and one for TCP.
var Knot = Make{
	Name: "knot", Packages: []string{"knot"}, program: "knotd", args: []string{"-c", "%[1]s"}, file: "knot.conf",
	config: parse(`server:
  listen: {{.Host}}@{{.Addr.Port}}
  rundir: "{{.Dir}}"
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: "{{.Dir}}"
log:
- target: stderr
  any: info
{{if .KeyName}}key:
- id: {{.KeyName}}
  algorithm: hmac-sha256
  secret: {{.Secret}}
{{end}}{{if .IsSecondary}}remote:
- id: primary
  address: {{.Primary.Addr}}@{{.Primary.Port}}
  key: {{.KeyName}}
acl:
- id: notified
  address: 127.0.0.1
  key: {{.KeyName}}
  action: [notify, transfer]
{{end}}zone:
- domain: {{.Origin}}
{{if .IsSecondary}}  storage: "{{.Dir}}"
  master: primary
  acl: notified
{{else}}  file: "{{.File}}"
{{end}}`),
}

// BIND serves with one thread.
var BIND = Make{
	Name: "bind", Packages: []string{"bind9", "bind9-utils"}, program: "named",
	args: []string{"-g", "-n", "1", "-c", "%[1]s"}, file: "named.conf",
	config: parse(`{{if .TLS.IsValid}}tls here { cert-file "{{.Certificate}}"; key-file "{{.Key}}"; };
{{end}}options {
  directory "{{.Dir}}";
  pid-file none;
  session-keyfile "{{.Dir}}/session.key";
  listen-on port {{.Addr.Port}} { {{.Host}}; };
{{if .TLS.IsValid}}  listen-on port {{.TLS.Port}} tls here { {{.Host}}; };
{{end}}  listen-on-v6 { none; };
  recursion no;
  notify no;
  empty-zones-enable no;
  dnssec-validation no;
};
controls { };
{{if .KeyName}}key "{{.KeyName}}" { algorithm hmac-sha256; secret "{{.Secret}}"; };
{{end}}zone "{{.Origin}}" {
{{if .IsSecondary}}  type secondary;
  file "bind.zone";
  masterfile-format text;
  primaries { {{.Primary.Addr}} port {{.Primary.Port}} key "{{.KeyName}}"; };
  allow-notify { key "{{.KeyName}}"; };
  allow-transfer { key "{{.KeyName}}"; };
{{else}}  type primary;
  file "{{.File}}";
{{end}}};
`),
}

// Gdnsd serves with one thread for UDP and one for TCP. It is a primary only.
var Gdnsd = Make{
	Name: "gdnsd", Packages: []string{"gdnsd"}, program: "gdnsd", args: []string{"-c", "%[2]s", "start"}, file: "config",
	config: parse(`options => {
  listen => [ "{{.Host}}:{{.Addr.Port}}" ]
  udp_threads => 1
  tcp_threads => 1
  run_dir => "{{.Dir}}"
  state_dir => "{{.Dir}}"
}
{{if .Resources}}plugins => {
  weighted => {
    service_types => up
    multi => false
{{.Resources}}  }
}
{{end}}`),
}

// Unbound resolves; of everything but Origin it knows nothing. Strict QNAME minimisation (RFC 9156), random case in
// names, and no mercy below an NXDOMAIN (RFC 8020).
var Unbound = Make{
	Name: "unbound", Packages: []string{"unbound"}, program: "unbound", args: []string{"-d", "-c", "%[1]s"},
	file: "unbound.conf",
	config: parse(`server:
  interface: {{.Host}}
  port: {{.Addr.Port}}
  username: ""
  chroot: ""
  directory: "{{.Dir}}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  num-threads: 1
  do-not-query-localhost: no
  qname-minimisation: yes
  qname-minimisation-strict: yes
  use-caps-for-id: yes
  harden-below-nxdomain: yes
  harden-referral-path: no
  local-zone: "test." nodefault
{{if .File}}  trust-anchor-file: "{{.File}}"
{{end}}remote-control:
  control-enable: no
stub-zone:
  name: "{{.Origin}}"
  stub-addr: {{.Primary.Addr}}@{{.Primary.Port}}
`),
}

func parse(text string) *template.Template { return template.Must(template.New("").Parse(text)) }

// Start configures a server of this make in dir and runs it. before, if any, is a command line that it is run by, such
// as taskset.
func (m *Make) Start(ctx context.Context, p *Programs, dir string, z Zone, before ...string) (*Peer, error) {
	addr := z.Listen
	if !addr.IsValid() {
		var err error
		if addr, err = FreeAddr(); err != nil {
			return nil, fmt.Errorf("starting %s: %w", m.Name, err)
		}
	}
	dir = filepath.Join(dir, m.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("starting %s: %w", m.Name, err)
	}
	s := setup{Zone: z, Addr: addr, Dir: dir}
	var text strings.Builder
	if err := m.config.Execute(&text, s); err != nil {
		return nil, fmt.Errorf("configuring %s: %w", m.Name, err)
	}
	file := filepath.Join(dir, m.file)
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return nil, fmt.Errorf("configuring %s: %w", m.Name, err)
	}
	if m.Name == Gdnsd.Name {
		if err := linkZone(dir, z); err != nil {
			return nil, fmt.Errorf("configuring %s: %w", m.Name, err)
		}
	}
	var args []string
	for _, a := range m.args {
		a = strings.NewReplacer("%[1]s", file, "%[2]s", dir).Replace(a)
		args = append(args, a)
	}
	cmd, err := p.Command(ctx, m.program, args...)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", m.Name, err)
	}
	return Start(ctx, m.Name, Through(cmd, before...), addr, dir, z.Origin)
}

// linkZone puts the zone file where gdnsd looks for it, under the name of its origin.
func linkZone(dir string, z Zone) error {
	zones := filepath.Join(dir, "zones")
	if err := os.MkdirAll(zones, 0o755); err != nil {
		return err
	}
	return os.Symlink(z.File, filepath.Join(zones, strings.TrimSuffix(z.Origin, ".")))
}
