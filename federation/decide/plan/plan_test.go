package plan

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// A question that cannot be understood is refused with the field, and nobody is asked.
func TestRefusedQuestions(t *testing.T) {
	one := []runtime.RawExtension{{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`)}}
	minimum := int64(3)
	cases := []struct {
		name string
		spec v1alpha1.PlanSpec
		says string
	}{
		{"nothing", v1alpha1.PlanSpec{}, "spec.objects: Required value"},
		{"too much", v1alpha1.PlanSpec{Objects: make([]runtime.RawExtension, v1alpha1.MaxPlanned+1)}, "spec.objects: Too many"},
		{"a broken line", v1alpha1.PlanSpec{Objects: one, Clusters: "east=,"}, "spec.clusters: Invalid value"},
		{"two placements", v1alpha1.PlanSpec{Objects: one, Clusters: "east", Placement: &v1alpha1.PlacementSpec{}},
			"spec.placement: Forbidden"},
		{"a broken expression", v1alpha1.PlanSpec{Objects: one, Placement: &v1alpha1.PlacementSpec{
			Clusters: []v1alpha1.ClusterTerm{{Expression: "cluster.", Min: &minimum}},
		}}, "spec.clusters[0].expression"},
	}
	p := &Planner{Leads: func() bool { t.Error("the question was let through"); return false }, Now: time.Now}
	for _, c := range cases {
		err := p.Answer(t.Context(), &user.DefaultInfo{Name: "u"}, &v1alpha1.Plan{Spec: c.spec})
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

// A replica of the hub without connections says so, in a way that clients try again.
func TestOtherReplica(t *testing.T) {
	p := &Planner{Leads: func() bool { return false }, Now: time.Now}
	question := &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{Templates: []v1alpha1.PlannedTemplate{{Kind: "Deployment", Name: "a"}}}}
	err := p.Answer(t.Context(), &user.DefaultInfo{Name: "u"}, question)
	if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "has no connections to the members") {
		t.Errorf("it says %v", err)
	}
}
