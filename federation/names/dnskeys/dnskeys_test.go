package dnskeys

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/sign"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func stages(r Keys) string {
	count := map[sign.Stage]int{}
	for _, k := range r {
		count[k.Stage]++
	}
	return fmt.Sprintf("%d incoming, %d active, %d retired", count[sign.Incoming], count[sign.Active], count[sign.Retired])
}

func activeTag(r Keys) uint16 {
	i, _ := r.in(sign.Active)
	return r[i].Tag
}

// TestRollover goes through the life of two keys, and tries every step at the wrong time, too.
func TestRollover(t *testing.T) {
	r, err := New(start)
	if err != nil {
		t.Fatal(err)
	}
	old := activeTag(r)
	if _, err := r.Retire(old, start); !errors.Is(err, ErrNoNew) {
		t.Errorf("the only key was retired: %v", err)
	}
	if r, err = r.Roll(start); err != nil || stages(r) != "1 incoming, 1 active, 0 retired" {
		t.Fatalf("%s, %v", stages(r), err)
	}
	if _, err := r.Roll(start); !errors.Is(err, ErrUnderWay) {
		t.Errorf("rolled twice: %v", err)
	}
	if _, err := r.Retire(old, start.Add(69*time.Minute)); !errors.Is(err, ErrTooEarly) || !strings.Contains(err.Error(), "wait 1m0s") {
		t.Errorf("retired too early: %v", err)
	}
	if _, err := r.Retire(old+1, start.Add(24*time.Hour)); !errors.Is(err, ErrNotActive) {
		t.Errorf("a key that does not sign was retired: %v", err)
	}
	day := start.Add(24 * time.Hour)
	if r, err = r.Retire(old, day); err != nil || stages(r) != "0 incoming, 1 active, 1 retired" || activeTag(r) == old {
		t.Fatalf("%s, %v", stages(r), err)
	}
	if _, err := r.Retire(old, day); !errors.Is(err, ErrNoNew) {
		t.Errorf("retired twice: %v", err)
	}
	if now, until := r.Current(day.Add(71 * time.Hour)); len(now) != 2 || until != time.Hour {
		t.Errorf("%s, the next change in %s", stages(now), until)
	}
	if now, until := r.Current(day.Add(72 * time.Hour)); stages(now) != "0 incoming, 1 active, 0 retired" || until != 0 {
		t.Errorf("%s, the next change in %s", stages(now), until)
	}
}

// TestSecret: a ring comes back from its Secret as it was; damage is told of, with the place.
func TestSecret(t *testing.T) {
	r, err := New(start)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.Roll(start); err != nil {
		t.Fatal(err)
	}
	z := &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: "example.org", UID: "1"}}
	secret := r.Secret(z)
	back, err := Read(secret)
	if diff := cmp.Diff(r, back); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if secret.Name != "dnssec-example.org" || secret.OwnerReferences[0].Name != "example.org" {
		t.Errorf("secret %s of %v", secret.Name, secret.OwnerReferences)
	}
	if name := SecretName(strings.Repeat("a.", 125)); len(name) > 253 {
		t.Errorf("the name of a Secret has %d characters", len(name))
	}
	for field, text := range secret.Data {
		for what, damaged := range map[string]string{
			"no PEM": "x", "no stage": strings.Replace(string(text), "Since: 2", "Since: x", 1),
			"cut": strings.Replace(string(text), "MIG", "AAAA", 1),
		} {
			broken := secret.DeepCopy()
			broken.Data[field] = []byte(damaged)
			if _, err := Read(broken); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "hanse-system/dnssec-example.org") {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	secret.Data = nil
	if _, err := Read(secret); !errors.Is(err, ErrMalformed) {
		t.Errorf("an empty Secret: %v", err)
	}
}
