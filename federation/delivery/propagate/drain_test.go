package propagate

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// What answers may lead to stays; what they do not lead to, or no more, goes.
func TestLingersFor(t *testing.T) {
	const ref = "Deployment.apps/shop/web"
	draining := &v1alpha1.DrainStatus{Message: "answers with it may be kept until 12:00:40"}
	for _, row := range []struct {
		what    string
		behind  string
		cluster v1alpha1.GlobalServiceCluster
		deleted bool
		says    string // empty: it goes
	}{
		{"answers lead there", ref, v1alpha1.GlobalServiceCluster{Name: "east", Health: "Healthy", Reason: "2 of 2"}, false,
			"leads clients here; 2 of 2"},
		{"old answers are kept", ref, v1alpha1.GlobalServiceCluster{Name: "east", Health: "Draining", Drain: draining}, false,
			"may be kept until 12:00:40"},
		{"no answer is kept", ref, v1alpha1.GlobalServiceCluster{Name: "east", Health: "Draining",
			Drain: &v1alpha1.DrainStatus{Done: true}}, false, ""},
		{"it serves nobody", ref, v1alpha1.GlobalServiceCluster{Name: "east", Health: "Unhealthy"}, false, ""},
		{"another member", ref, v1alpha1.GlobalServiceCluster{Name: "west", Health: "Healthy"}, false, ""},
		{"another template", "Deployment.apps/shop/api", v1alpha1.GlobalServiceCluster{Name: "east", Health: "Healthy"},
			false, ""},
		{"the name goes too", ref, v1alpha1.GlobalServiceCluster{Name: "east", Health: "Healthy"}, true, ""},
	} {
		gs := &v1alpha1.GlobalService{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
		gs.Status.Behind = []string{row.behind}
		gs.Status.Clusters = []v1alpha1.GlobalServiceCluster{row.cluster}
		if row.deleted {
			now := metav1.Now()
			gs.DeletionTimestamp = &now
		}
		why, ok := isDrainingFor(gs, ref, "east")
		if ok != (row.says != "") || !strings.Contains(why, row.says) {
			t.Errorf("%s: %q %t, want %q", row.what, why, ok, row.says)
		}
	}
}
