package owners

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

func TestCheck(t *testing.T) {
	known := func(name string) (labels.Set, bool) {
		set, exists := map[string]labels.Set{"a": {"team": "web"}, "b": {}, "svc": {}, "r": {}}[name]
		return set, exists
	}
	in := &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: "fleet.test"}}
	in.Spec.Default = true
	in.Spec.Delegations = []v1alpha1.Delegation{
		{Names: []string{"Shop.Fleet.test.", "*.eu"}, Namespaces: v1alpha1.DelegatedNamespaces{Names: []string{"a"}}},
		{Names: []string{"open"}, Namespaces: v1alpha1.DelegatedNamespaces{Selector: &metav1.LabelSelector{}}},
		{Names: []string{"none"}, Namespaces: v1alpha1.DelegatedNamespaces{}},
	}
	clusterSet := &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: "clusterset.local"}}
	for _, c := range []struct {
		in        *v1alpha1.Zone
		name      string
		namespace string
		claimed   string
		may       bool
	}{
		{in, "x.a.fleet.test", "a", "", true},
		{in, "X.A.FLEET.test.", "a", "", true},
		{in, "deep.x.a.fleet.test", "a", "", true},
		{in, "*.a.fleet.test", "a", "", true},
		{in, "a.fleet.test", "a", "", false},
		{in, "xa.fleet.test", "a", "", false},
		{in, "x.a.fleet.test", "b", "", false},
		{in, "x.a.fleet.test", "b", "x.a.fleet.test@*", false},
		{in, "x.nobody.fleet.test", "b", "", false},
		{in, "x.nobody.fleet.test", "b", "x.nobody.fleet.test@fleet.test", true},
		{in, "fleet.test", "a", "", false},
		{in, "fleet.test", "a", "fleet.test@fleet.test", true},
		{in, "*.fleet.test", "a", "", false},
		{in, "www.fleet.test", "a", "www.fleet.test@*", true},
		{in, "www.fleet.test", "a", "www.fleet.test@other.test", false},
		{in, "www.fleet.test", "a", "w.fleet.test@*", false},
		{in, "shop.fleet.test", "a", "", true},
		{in, "shop.fleet.test", "b", "", false},
		{in, "x.eu.fleet.test", "a", "", true},
		{in, "eu.fleet.test", "a", "", false},
		{in, "open.fleet.test", "b", "", true},
		{in, "open.fleet.test", "unknown", "", false},
		{in, "none.fleet.test", "b", "", false},
		{in, "_acme-challenge.x.a.fleet.test", "a", "", true},
		{in, "_acme-challenge.x.a.fleet.test", "b", "", false},
		{in, "_acme-challenge.shop.fleet.test", "a", "", true},
		{in, "_acme-challenge.shop.fleet.test", "b", "", false},
		{in, "_acme-challenge.fleet.test", "a", "", false},
		{in, "_acme-challenge._acme-challenge.fleet.test", "_acme-challenge", "", false},
		{in, "_ACME-challenge.www.fleet.test", "www", "", false},
		{in, "web.a.east.c.fleet.test", "a", "", true},
		{in, "web.a.east.c.fleet.test", "b", "", false},
		{in, "web.a.eu.r.fleet.test", "r", "", false},
		{in, "*.r.fleet.test", "r", "", false},
		{in, "web.r.fleet.test", "r", "", true},
		{clusterSet, "db.a.svc.clusterset.local", "a", "", true},
		{clusterSet, "db.a.svc.clusterset.local", "svc", "", false},
		{clusterSet, "db.svc.clusterset.local", "svc", "", false},
		{clusterSet, "db.a.clusterset.local", "a", "", false},
	} {
		err := Check(c.in, c.name, c.namespace, known, ParseClaims(c.claimed))
		if (err == nil) != c.may {
			t.Errorf("%s for namespace %s with %q: %v, want it allowed: %t", c.name, c.namespace, c.claimed, err, c.may)
		}
	}
}

func TestClaims(t *testing.T) {
	claims := Claims{"b.example.org": {"example.org", "b.example.org"}, "a.example.org": {AllZones}}
	const want = "a.example.org@*,b.example.org@b.example.org,b.example.org@example.org"
	if got := claims.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := ParseClaims(want).String(); got != want {
		t.Errorf("read again it is %q", got)
	}
	for _, junk := range []string{"", ",", "@", "a@", "@b", "a.example.org", "*@*x"} {
		if ParseClaims(junk).Cover("a.example.org", "example.org") {
			t.Errorf("%q claims a name", junk)
		}
	}
}

func TestZoneOf(t *testing.T) {
	zones := make([]v1alpha1.Zone, 2)
	zones[0].Name, zones[1].Name = "example.org", "b.example.org"
	for name, want := range map[string]string{
		"a.b.Example.org.": "b.example.org", "b.example.org": "b.example.org", "xb.example.org": "example.org",
		"example.org": "example.org", "notexample.org": "", "org": "",
	} {
		got := ""
		if in := ZoneOf(zones, name); in != nil {
			got = in.Name
		}
		if got != want {
			t.Errorf("%s lies in %q, want %q", name, got, want)
		}
	}
}
