package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	mathbig "math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/e2e/harness"
)

// acme is a zone into which an ACME client writes.
const acme = `
apiVersion: v1
kind: Secret
metadata: {name: acme, namespace: hanse-system}
stringData: {name: acme., secret: c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=}
---
apiVersion: hanse.io/v1alpha1
kind: Zone
metadata: {name: away.example}
spec: {default: true, updates: [{tsigSecret: acme}]}`

// A DNS server away from the hub does what the hub's own does: it answers over TLS and HTTPS, takes updates, shows its
// queries and counts its answers. It takes over all its sockets, a new certificate, and keeps its account by itself.
func TestANameserverDoesWhatTheHubDoes(t *testing.T) {
	hub, kubeconfig := hubForNameservers(t)
	if r, err := hub.Kubectl(t.Context(), acme, "apply", "-f", "-"); err != nil || r.Code != 0 {
		t.Fatal(err, r)
	}
	dir, data := t.TempDir(), t.TempDir()
	roots := newCertificate(t, dir)
	flags := []string{"--listen-tls", "127.0.0.1:0", "--listen-https", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
		"--tls-cert", filepath.Join(dir, "tls.crt"), "--tls-key", filepath.Join(dir, "tls.key")}
	one := harness.StartNameserver(t, kubeconfig, data, "127.0.0.1:0", "one", flags...)
	answers(t, one.Address, "ns1.away.example", "127.0.0.1")
	overTLS, overHTTPS := one.Also("tls"), one.Also("https")
	encrypted(t, overTLS, overHTTPS, roots)

	written := `"token-1"`
	writeChallenge(t, one.Address, "token-1")
	for _, server := range []string{hub.DNS, one.Address} {
		told(t, server, "_acme-challenge.www.away.example", dns.TypeTXT, written)
	}

	queriesAreShown(t, hub, one.Address, "--data-dir", data)
	queriesAreShown(t, hub, hub.DNS)
	answersAreCounted(t, one)
	ageIsMeasured(t, hub)

	renewed := renewedToken(t, data)
	if text, err := os.ReadFile(kubeconfig); err != nil || bytes.Contains(text, []byte(renewed)) {
		t.Errorf("the token has not been replaced: %v", err)
	}

	// The next process has the same sockets, and the token that was renewed; a new certificate needs no new process.
	next := harness.StartNameserver(t, kubeconfig, data, "127.0.0.1:0", "one", flags...)
	if next.Address != one.Address || next.Also("tls") != overTLS || next.Also("https") != overHTTPS {
		t.Fatalf("the process that took over answers on %s, not on %s", next.Output(), one.Output())
	}
	harness.Eventually(t, "the former process has ended", func() error {
		if !one.Ended() {
			return errors.New("it runs")
		}
		return nil
	})
	encrypted(t, overTLS, overHTTPS, roots)
	roots = newCertificate(t, dir)
	harness.Eventually(t, "the new certificate is shown", func() error {
		_, err := askTLS(overTLS, roots)
		return err
	})
	encrypted(t, overTLS, overHTTPS, roots)
	if again := renewedToken(t, data); again != renewed {
		t.Error("the process that took over has not gone on with the token of the former")
	}

	// Without the hub nothing is taken that could get lost.
	if err := hub.Kill(); err != nil {
		t.Fatal(err)
	}
	answer, err := update(next.Address, "token-2")
	if err != nil || answer.Rcode != dns.RcodeServerFailure {
		t.Errorf("an update without the hub: %v %v, want SERVFAIL", answer, err)
	}
	if err := next.End(syscall.SIGTERM); err != nil || next.Code() != 0 {
		t.Errorf("%v, exit code %d:\n%s", err, next.Code(), next.LastWords())
	}
}

// newCertificate writes a self-signed certificate and its key, and returns who trusts it alone.
func newCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: mathbig.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"tls.key": {Type: "PRIVATE KEY", Bytes: private}, "tls.crt": {Type: "CERTIFICATE", Bytes: der},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool
}

func question() *dns.Msg { return new(dns.Msg).SetQuestion("ns1.away.example.", dns.TypeA) }

func askTLS(server string, roots *x509.CertPool) (*dns.Msg, error) {
	client := &dns.Client{Net: "tcp-tls", Timeout: 5 * time.Second, TLSConfig: &tls.Config{RootCAs: roots}}
	answer, _, err := client.Exchange(question(), server)
	return answer, err
}

// encrypted asks over TLS and over HTTPS.
func encrypted(t *testing.T, overTLS, overHTTPS string, roots *x509.CertPool) {
	t.Helper()
	answer, err := askTLS(overTLS, roots)
	if err != nil || len(answer.Answer) != 1 {
		t.Errorf("over TLS: %v %v", answer, err)
	}
	packet, err := question().Pack()
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	defer web.CloseIdleConnections()
	response, err := web.Post("https://"+overHTTPS, "application/dns-message", bytes.NewReader(packet))
	if err != nil {
		t.Errorf("over HTTPS: %v", err)
		return
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if unpacked := new(dns.Msg); err != nil || unpacked.Unpack(said) != nil || len(unpacked.Answer) != 1 {
		t.Errorf("over HTTPS: %s %q %v", response.Status, said, err)
	}
}

// update sends an update as an ACME client does.
func update(server, text string) (*dns.Msg, error) {
	m := new(dns.Msg).SetUpdate("away.example.")
	rr, err := dns.NewRR(`_acme-challenge.www.away.example. 60 IN TXT "` + text + `"`)
	if err != nil {
		return nil, err
	}
	m.Insert([]dns.RR{rr})
	m.SetTsig("acme.", dns.HmacSHA256, 300, time.Now().Unix())
	client := &dns.Client{Timeout: 15 * time.Second, TsigSecret: map[string]string{"acme.": acmeSecret}}
	answer, _, err := client.Exchange(m, server)
	return answer, err
}

const acmeSecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="

// writeChallenge waits until the server knows the key, and writes; with nsupdate, if this machine has it.
func writeChallenge(t *testing.T, server, text string) {
	t.Helper()
	harness.Eventually(t, "an update is taken", func() error {
		program, err := exec.LookPath("nsupdate")
		if err != nil {
			answer, err := update(server, text)
			if err == nil && answer.Rcode != dns.RcodeSuccess {
				err = errors.New(dns.RcodeToString[answer.Rcode])
			}
			return err
		}
		host, port, _ := net.SplitHostPort(server)
		command := exec.CommandContext(t.Context(), program, "-y", "hmac-sha256:acme.:"+acmeSecret)
		command.Stdin = strings.NewReader(fmt.Sprintf("server %s %s\nzone away.example.\n"+
			"update add _acme-challenge.www.away.example. 60 TXT %q\nsend\n", host, port, text))
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// queriesAreShown watches a server, by these arguments of hanse dns log.
func queriesAreShown(t *testing.T, hub *harness.Hub, server string, arguments ...string) {
	t.Helper()
	program, err := harness.Hanse()
	if err != nil {
		t.Fatal(err)
	}
	watching, err := harness.StartProcess("", program,
		append([]string{"--kubeconfig", hub.Kubeconfig(), "dns", "log", "-o", "json"}, arguments...)...)
	if err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "hanse dns log shows a query", func() error {
		if _, err := harness.Ask(server, "web.default.away.example", dns.TypeA); err != nil {
			return err
		}
		for line := range strings.Lines(watching.Output()) {
			var l struct{ Client, Transport, Name, Type, Rcode, Target string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Name == "web.default.away.example." && l.Type == "A" &&
				l.Rcode == "NOERROR" && l.Transport == "udp" && strings.HasPrefix(l.Client, "127.0.0.1:") && l.Target != "" {
				return nil
			}
		}
		return fmt.Errorf("it shows:\n%s", watching.LastWords())
	})
	if err := watching.End(syscall.SIGINT); err != nil || watching.Code() != 0 {
		t.Errorf("interrupted: %v, exit code %d:\n%s", err, watching.Code(), watching.LastWords())
	}
}

// answersAreCounted reads the metrics of a server.
func answersAreCounted(t *testing.T, server *harness.Nameserver) {
	t.Helper()
	address := ""
	for line := range strings.Lines(server.Output()) {
		if _, after, ok := strings.Cut(line, "serving metrics\" address="); ok {
			address = strings.TrimSpace(after)
		}
	}
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{
		`hanse_dns_answers_total{name="web.default.away.example.",target="`,
		`hanse_dns_responses_total{rcode="NOERROR",transport="tls",type="A",zone="away.example."} 1`,
		`hanse_dns_responses_total{rcode="NOERROR",transport="https",type="A",zone="away.example."} 1`,
		"hanse_dns_response_seconds_bucket{", "hanse_dns_dropped_total{", "\nhanse_dns_snapshot_age_seconds ", "hanse_dns_hub_serial ",
	} {
		if !bytes.Contains(metrics, []byte(wanted)) {
			t.Errorf("the metrics do not have %s", wanted)
		}
	}
}

// ageIsMeasured: the hub says of its own DNS server what those away from it say of theirs.
func ageIsMeasured(t *testing.T, hub *harness.Hub) {
	t.Helper()
	harness.Eventually(t, "the hub's metrics tell the version and the age of what is answered", func() error {
		r, err := hub.Kubectl(t.Context(), "", "get", "--raw", "/metrics")
		if err != nil || r.Code != 0 {
			return fmt.Errorf("%v %v", err, r)
		}
		for _, metric := range []string{"hanse_dns_hub_serial", "hanse_dns_snapshot_serial", "hanse_dns_snapshot_age_seconds"} {
			_, value, _ := strings.Cut(r.Stdout, "\n"+metric+" ")
			text, _, _ := strings.Cut(value, "\n")
			if v, err := strconv.ParseFloat(text, 64); err != nil || v < 0 {
				return fmt.Errorf("%s is %q", metric, text)
			}
		}
		return nil
	})
}

// renewedToken waits for the token that a server has got for itself.
func renewedToken(t *testing.T, data string) string {
	t.Helper()
	var stored struct{ Token string }
	harness.Eventually(t, "the server has a token of its own", func() error {
		text, err := os.ReadFile(filepath.Join(data, "token"))
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &stored)
	})
	return stored.Token
}
