package expose

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// What has no known health says so, and what has does not.
func TestHealthKnown(t *testing.T) {
	s := exported(t)
	for _, line := range []string{
		"global hand {addresses: [{cluster: a, ips: [192.0.2.1]}]}",
		"global probed {addresses: [{cluster: a, ips: [192.0.2.1]}], probe: {tcp: {port: 80}}}",
		"template {apiVersion: v1, kind: Service, metadata: {name: bare}}",
		"at Service/bare east=10.0.0.9",
		"global bare {service: bare}",
	} {
		if err := s.Obey(line); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]metav1.ConditionStatus{"web": "True", "hand": "False", "probed": "True", "bare": "False"}
	w := s.world()
	for _, e := range build(w).exposures {
		status := serviceStatus(w, e, 1)
		c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionHealthKnown)
		if c == nil || c.Status != want[e.object.Name] || (c.Message == "") != (c.Status == "True") {
			t.Errorf("%s: %+v, want %s", e.object.Name, c, want[e.object.Name])
		}
		delete(want, e.object.Name)
	}
	if len(want) > 0 {
		t.Errorf("nothing is said of %v", want)
	}
}
