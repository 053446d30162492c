package lifecycle

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/orphans"
	"github.com/hanse-federation/hanse/federation/template"
)

// A Distribution answers for a copy when it names the member, or is of the very template; one that is about another
// object of the same hash is none.
func TestIsKnown(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	ref := template.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	for _, c := range []struct {
		what string
		spec v1alpha1.DistributionSpec
		want bool
	}{
		{"chosen, made anew", v1alpha1.DistributionSpec{Clusters: []v1alpha1.DistributionCluster{{Name: "east"}}}, true},
		{"being left", v1alpha1.DistributionSpec{Leaving: []string{"east"}}, true},
		{"elsewhere, made anew", v1alpha1.DistributionSpec{Leaving: []string{"west"}}, false},
		{"elsewhere, the same template", v1alpha1.DistributionSpec{Template: v1alpha1.TemplateReference{UID: "made"}}, true},
	} {
		d := &v1alpha1.Distribution{Spec: c.spec}
		d.Namespace, d.Name = ref.Distribution()
		d.Spec.Template.APIVersion, d.Spec.Template.Kind = "apps/v1", "Deployment"
		d.Spec.Template.Namespace, d.Spec.Template.Name = "shop", "web"
		hub := fake.NewClientBuilder().WithScheme(scheme).WithObjects(d).Build()
		if got := isKnown(t.Context(), hub, "east", ref, "made"); got != c.want {
			t.Errorf("%s: known is %v", c.what, got)
		}
	}
	if isKnown(t.Context(), fake.NewClientBuilder().WithScheme(scheme).Build(), "east", ref, "made") {
		t.Error("known without a Distribution")
	}
}

// Nothing is done unasked, and nothing with another list than the one that was shown.
func TestAccept(t *testing.T) {
	found := []orphans.Object{{UID: "a"}, {UID: "b"}}
	request := func(way orphans.Way, of []orphans.Object) map[string]string {
		return map[string]string{v1alpha1.LeftoversAnnotation: orphans.Request{Way: way, Digest: orphans.Digest(of)}.String()}
	}
	orphan := map[string]string{v1alpha1.OnDeleteAnnotation: "Orphan"}
	for _, c := range []struct {
		what        string
		annotations map[string]string
		isLeaving   bool
		want        orphans.Way
	}{
		{what: "nobody asks"},
		{what: "the member leaves, and nobody asks", isLeaving: true},
		{what: "removal", annotations: request(orphans.Remove, found), want: orphans.Remove},
		{what: "release", annotations: request(orphans.Release, found), want: orphans.Release},
		{what: "of another list", annotations: request(orphans.Remove, found[:1])},
		{what: "without a list", annotations: map[string]string{v1alpha1.LeftoversAnnotation: "Remove"}},
		{what: "the member leaves with its copies", annotations: orphan, isLeaving: true, want: orphans.Release},
		{what: "copies are to stay when it leaves", annotations: orphan},
	} {
		cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Annotations: c.annotations}}
		if c.isLeaving {
			cluster.DeletionTimestamp = &metav1.Time{Time: noon}
		}
		j := accept(cluster, found)
		switch {
		case j == nil && c.want != "":
			t.Errorf("%s: refused", c.what)
		case j != nil && (j.way != c.want || len(j.objects) != 2):
			t.Errorf("%s: %s of %d", c.what, j.way, len(j.objects))
		}
	}
}

// A member is looked into a while after it can be worked with, hourly, and soon when there is reason to.
func TestWait(t *testing.T) {
	asked := map[string]string{v1alpha1.LeftoversAnnotation: "Remove/x"}
	for _, c := range []struct {
		what    string
		look    look
		cluster v1alpha1.Cluster
		want    time.Duration
	}{
		{what: "new", look: look{ready: noon}, want: lookAfter},
		{what: "at rest", look: look{last: noon.Add(-time.Minute)}, want: lookAgain - time.Minute},
		{what: "a Distribution was lost", look: look{last: noon.Add(-time.Minute), asked: noon}, want: lookSoon},
		{what: "and was looked for", look: look{last: noon, asked: noon.Add(-time.Minute)}, want: lookAgain},
		{what: "a request", look: look{last: noon.Add(-time.Minute)},
			cluster: v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Annotations: asked}}},
		{what: "a request to a paused member", look: look{last: noon},
			cluster: v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Annotations: asked},
				Spec: v1alpha1.ClusterSpec{Paused: true}}, want: lookAgain},
		{what: "it leaves", look: look{last: noon},
			cluster: v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{Time: noon}}}, want: lookAfter},
	} {
		if got := (&Leftovers{}).wait(&c.look, &c.cluster, noon); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}
