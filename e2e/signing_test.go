package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/e2e/dnspeers"
	"github.com/hanse-federation/hanse/e2e/harness"
)

const signedZone = `
apiVersion: hanse.io/v1alpha1
kind: Zone
metadata: {name: away.example}
spec: {default: true, dnssec: {enabled: true}}`

// A key of a zone is replaced, and later the zone is signed no more: at every moment whoever validates gets an answer.
func TestReplaceTheKeyOfAZone(t *testing.T) {
	s := startSigned(t)
	old := s.keys()[0]
	s.validates(old)

	// The new key is published beside the old one.
	said := s.hanse("dns", "key", "roll", "away.example")
	keys := s.keys()
	incoming := keys[slices.IndexFunc(keys, func(k zoneKey) bool { return k.Stage == "Incoming" })]
	if len(keys) != 2 || !strings.Contains(said, incoming.DS) {
		t.Fatalf("keys %v, said %s", keys, said)
	}
	s.tells(dns.TypeDNSKEY, 2)
	s.tells(dns.TypeCDS, 2)
	s.tells(dns.TypeCDNSKEY, 2)
	s.validates(old)
	s.validates(old, incoming)
	s.refuses("wait 1h", "dns", "key", "retire", "away.example", fmt.Sprint(old.Tag), "--force")

	// It takes over, when caches have it. The parent has the old DS record still, or both.
	s.throughout(old, func() {
		s.age("Incoming", 2*time.Hour)
		s.hanse("dns", "key", "retire", "away.example", fmt.Sprint(old.Tag), "--force")
		s.isSignedBy(incoming)
	})
	s.validates(old)
	s.validates(incoming)
	s.tells(dns.TypeDNSKEY, 2)
	s.tells(dns.TypeCDS, 1)

	// The old one goes by itself, when nothing is left of what it signed.
	s.throughout(incoming, func() {
		s.age("Retired", 73*time.Hour)
		s.tells(dns.TypeDNSKEY, 1)
		s.tells(dns.TypeCDNSKEY, 1)
	})
	if keys := s.keys(); len(keys) != 1 || keys[0].Tag != incoming.Tag || keys[0].Stage != "Active" {
		t.Errorf("keys at the end: %v", keys)
	}

	// Switched off, it stays signed until somebody says that the parent has dropped the DS record.
	s.refuses("is to be signed", "dns", "key", "remove", "away.example", "--force")
	s.throughout(incoming, func() {
		if r, err := s.hub.Kubectl(t.Context(), strings.Replace(signedZone, "true}}", "false}}", 1), "apply", "-f", "-"); err != nil || r.Code != 0 {
			t.Fatal(err, r)
		}
		for _, server := range s.servers {
			told(t, server, "away.example", dns.TypeCDS, "0 0 0 00")
			told(t, server, "away.example", dns.TypeCDNSKEY, "0 3 0 AA==")
		}
	})
	harness.Eventually(t, "the Zone says what to do", func() error {
		r, err := s.hub.Kubectl(t.Context(), "", "get", "zone", "away.example", "-o",
			`jsonpath={.status.conditions[?(@.type=="Unsigning")].message}`)
		if err == nil && !strings.Contains(r.Stdout, "hanse dns key remove away.example") {
			err = fmt.Errorf("it says: %s", r)
		}
		return err
	})
	s.refuses("is to be signed no more", "dns", "key", "roll", "away.example")
	s.hanse("dns", "key", "remove", "away.example", "--force")
	s.tells(dns.TypeDNSKEY, 0)
	s.tells(dns.TypeCDS, 0)
}

// signed is a zone that is signed, on a hub and on a server away from it.
type signed struct {
	*testing.T
	hub     *harness.Hub
	servers []string
	delv    func(args ...string) *exec.Cmd
}

func startSigned(t *testing.T) *signed {
	t.Helper()
	s := &signed{T: t}
	s.delv = func(args ...string) *exec.Cmd { return exec.CommandContext(t.Context(), "delv", args...) }
	if _, err := exec.LookPath("delv"); err != nil {
		programs, err := dnspeers.Unpack(t.Context(), "bind9-dnsutils")
		if errors.Is(err, dnspeers.ErrNoPackages) {
			t.Skip("there is no validator to ask: ", err)
		} else if err != nil {
			t.Fatal(err)
		}
		s.delv = func(args ...string) *exec.Cmd {
			command, err := programs.Command(t.Context(), "delv", args...)
			if err != nil {
				t.Fatal(err)
			}
			return command
		}
	}
	hub, kubeconfig := hubForNameservers(t)
	s.hub = hub
	if r, err := hub.Kubectl(t.Context(), signedZone, "apply", "-f", "-"); err != nil || r.Code != 0 {
		t.Fatal(err, r)
	}
	one := harness.StartNameserver(t, kubeconfig, t.TempDir(), "127.0.0.1:0", "one")
	s.servers = []string{hub.DNS, one.Address}
	s.tells(dns.TypeDNSKEY, 1)
	return s
}

// zoneKey is a key as hanse dns key list tells it.
type zoneKey struct {
	Tag       uint16
	Stage, DS string
}

func (s *signed) keys() (keys []zoneKey) {
	s.Helper()
	if err := json.Unmarshal([]byte(s.hanse("dns", "key", "list", "away.example", "-o", "json")), &keys); err != nil {
		s.Fatal(err)
	}
	return keys
}

func (s *signed) hanse(arguments ...string) string {
	s.Helper()
	r, err := s.hub.Hanse(s.Context(), arguments...)
	if err != nil || r.Code != 0 {
		s.Fatal(err, r)
	}
	return r.Stdout
}

func (s *signed) refuses(why string, arguments ...string) {
	s.Helper()
	r, err := s.hub.Hanse(s.Context(), arguments...)
	if err != nil || r.Code == 0 || !strings.Contains(r.Stderr, why) {
		s.Errorf("hanse %s: %v %s, want %q", strings.Join(arguments, " "), err, r, why)
	}
}

// tells waits until all servers have so many records of a type at the apex.
func (s *signed) tells(kind uint16, count int) {
	s.Helper()
	for _, server := range s.servers {
		harness.Eventually(s.T, fmt.Sprintf("%s tells %d %s records", server, count, dns.TypeToString[kind]), func() error {
			answer, err := harness.Ask(server, "away.example", kind)
			if err == nil && len(answer.Answer) != count {
				err = fmt.Errorf("it tells %v", answer.Answer)
			}
			return err
		})
	}
}

// isSignedBy waits until all servers sign with a key.
func (s *signed) isSignedBy(key zoneKey) {
	s.Helper()
	for _, server := range s.servers {
		harness.Eventually(s.T, fmt.Sprintf("%s signs with %d", server, key.Tag), func() error {
			m := new(dns.Msg).SetQuestion("web.default.away.example.", dns.TypeA)
			m.SetEdns0(1232, true)
			answer, err := dns.Exchange(m, server)
			if err != nil {
				return err
			}
			for _, rr := range answer.Answer {
				if sig, ok := rr.(*dns.RRSIG); ok && sig.KeyTag == key.Tag {
					return nil
				}
			}
			return fmt.Errorf("it answers %v", answer.Answer)
		})
	}
}

// validated asks the validator that trusts these keys, by their DS records, about a name, one that is not there, and
// the keys.
func (s *signed) validated(keys ...zoneKey) error {
	var anchors bytes.Buffer
	anchors.WriteString("trust-anchors {\n")
	for _, k := range keys {
		f := strings.Fields(k.DS) // owner IN DS tag algorithm type digest
		fmt.Fprintf(&anchors, "%s static-ds %s %s %s \"%s\";\n", f[0], f[3], f[4], f[5], f[6])
	}
	anchors.WriteString("};\n")
	file := filepath.Join(s.TempDir(), "anchors")
	if err := os.WriteFile(file, anchors.Bytes(), 0o644); err != nil {
		return err
	}
	for _, server := range s.servers {
		host, port, err := net.SplitHostPort(server)
		if err != nil {
			return err
		}
		for _, question := range [][2]string{
			{"web.default.away.example", "A"}, {"nothing.away.example", "AAAA"}, {"away.example", "DNSKEY"},
		} {
			out, err := s.delv("@"+host, "-p", port, "-a", file, "+root=away.example", question[0], question[1]).CombinedOutput()
			if !bytes.Contains(out, []byte("fully validated")) { // for what is not there the exit code is 1
				return fmt.Errorf("%s %s at %s with %d: %v: %s", question[0], question[1], server, keys[0].Tag, err, out)
			}
		}
	}
	return nil
}

func (s *signed) validates(keys ...zoneKey) {
	s.Helper()
	if err := s.validated(keys...); err != nil {
		s.Error(err)
	}
}

// throughout asks the validator all the time that something takes.
func (s *signed) throughout(key zoneKey, something func()) {
	s.Helper()
	harness.Throughout(s.T, "answers validate", func() error { return s.validated(key) }, something)
}

// age makes the key of a stage older.
func (s *signed) age(stage string, by time.Duration) {
	s.Helper()
	harness.Eventually(s.T, "the key is older", func() error {
		var secret corev1.Secret
		if err := s.hub.Client.Get(s.Context(), client.ObjectKey{Namespace: "hanse-system", Name: "dnssec-away.example"}, &secret); err != nil {
			return err
		}
		since := regexp.MustCompile(`Since: \S+`)
		for field, text := range secret.Data {
			if bytes.Contains(text, []byte("Stage: "+stage+"\n")) {
				secret.Data[field] = since.ReplaceAll(text, []byte("Since: "+time.Now().Add(-by).UTC().Format(time.RFC3339)))
			}
		}
		return s.hub.Client.Update(s.Context(), &secret)
	})
}
