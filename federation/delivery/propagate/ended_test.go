package propagate

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
)

// A Job whose work is done, on the whole or in one member, is not made again where its copy is gone.
func TestHasEnded(t *testing.T) {
	const ended = `{"succeeded":2,"conditions":[{"type":"Complete","status":"True"}]}`
	outcome := func(member, status string) *v1alpha1.Distribution {
		return &v1alpha1.Distribution{Status: v1alpha1.DistributionStatus{Clusters: []v1alpha1.ClusterOutcome{
			{Name: member, Status: &runtime.RawExtension{Raw: []byte(status)}},
		}}}
	}
	const running = "{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {completions: 4}"
	for _, c := range []struct {
		what, template string
		distribution   *v1alpha1.Distribution
		isThere        bool
		want           bool
	}{
		{"new", running + "}", &v1alpha1.Distribution{}, false, false},
		{"runs here", running + "}", outcome("east", `{"active":1}`), false, false},
		{"complete on the hub", running + ", status: {conditions: [{type: Complete, status: 'True'}]}}",
			&v1alpha1.Distribution{}, false, true},
		{"failed on the hub", running + ", status: {conditions: [{type: Failed, status: 'True'}]}}",
			&v1alpha1.Distribution{}, false, true},
		{"is to fail", running + ", status: {conditions: [{type: FailureTarget, status: 'True'}]}}",
			&v1alpha1.Distribution{}, false, false},
		{"complete here", running + "}", outcome("east", ended), false, true},
		{"complete elsewhere", running + "}", outcome("west", ended), false, false},
		{"complete here, and still there", running + "}", outcome("east", ended), true, false},
		{"a Deployment", "{apiVersion: apps/v1, kind: Deployment, status: {conditions: [{type: Complete, status: 'True'}]}}",
			outcome("east", ended), false, false},
	} {
		obj := object(t, c.template)
		f := facts{template: obj, distribution: c.distribution}
		if c.isThere {
			f.live = obj
		}
		if why := f.hasEnded(kinds.Of(obj), "east"); (why != "") != c.want {
			t.Errorf("%s: %q", c.what, why)
		}
	}
}
