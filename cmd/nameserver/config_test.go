package nameserver

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

func TestConfig(t *testing.T) {
	good := Config{Hub: &rest.Config{Host: "https://hub"}, DataDir: "/data", Listen: []string{"127.0.0.1:53"}, Name: "edge"}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string // in the error; empty: there is none
	}{
		{"good", func(*Config) {}, ""},
		{"a name of the machine's", func(c *Config) { c.Name = "" }, ""},
		{"no hub", func(c *Config) { c.Hub = nil }, "no hub is given"},
		{"no data directory", func(c *Config) { c.DataDir = "" }, "no data directory is given"},
		{"no address", func(c *Config) { c.Listen = nil }, "no address to listen on is given"},
		{"an address without a port", func(c *Config) { c.Listen = []string{"192.0.2.1"} }, `"192.0.2.1" is no address such as 192.0.2.53:53`},
		{"an address for TLS without a port", func(c *Config) {
			c.ListenTLS, c.CertFile, c.KeyFile = []string{"::1"}, "crt", "key"
		}, `"::1" is no address`},
		{"TLS", func(c *Config) { c.ListenTLS, c.CertFile, c.KeyFile = []string{":853"}, "crt", "key" }, ""},
		{"TLS without a certificate", func(c *Config) { c.ListenTLS = []string{":853"} }, "needs a certificate and its key"},
		{"HTTPS without a key", func(c *Config) { c.ListenHTTPS, c.CertFile = []string{":443"}, "crt" }, "needs a certificate and its key"},
		{"a certificate for nothing", func(c *Config) { c.CertFile = "crt" }, "no address for DNS over TLS or HTTPS"},
		{"a name that is none", func(c *Config) { c.Name = "No Name" }, `"No Name" cannot be the name of this server`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			complete, err := c.complete()
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want == "" && (complete.Name == "" || complete.Logger == nil || complete.Now == nil):
				t.Errorf("not complete: %+v", complete)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	_, err := Config{Name: "-"}.complete()
	if err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("not all that is wrong is said at once: %v", err)
	}
	c := good
	c.ListenTLS, c.ListenHTTPS = []string{"127.0.0.1:53"}, []string{":443"}
	if diff := cmp.Diff([]string{"127.0.0.1:53", "tls://127.0.0.1:53", "https://:443"}, c.listens()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
