package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// evidence is what the API servers told at one moment when all are up and nobody writes. The templates are ConfigMaps
// and Deployments, each placed by its annotation, which is "*=1" or "member=weight,…".
type evidence struct {
	templates     belongings
	distributions v1alpha1.DistributionList
	members       map[string]belongings
	foreigners    map[string]stamp // ConfigMaps of somebody else, by member/name
}

// belongings are the objects of one API server.
type belongings struct {
	configMaps  corev1.ConfigMapList
	deployments appsv1.DeploymentList
}

// all of the objects, by kind/name.
func (b belongings) all() map[string]client.Object {
	all := map[string]client.Object{}
	for i := range b.configMaps.Items {
		if b.configMaps.Items[i].Name == "kube-root-ca.crt" {
			continue // each cluster's own, and the hub's
		}
		all["ConfigMap/"+b.configMaps.Items[i].Name] = &b.configMaps.Items[i]
	}
	for i := range b.deployments.Items {
		all["Deployment/"+b.deployments.Items[i].Name] = &b.deployments.Items[i]
	}
	return all
}

// stamp is by what an object can be seen to be untouched.
type stamp struct {
	uid     types.UID
	version string
}

// judge says what does not hold of that which must always hold, as far as it shows in objects.
func (e evidence) judge() (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	decided := map[string]*v1alpha1.Distribution{}
	for i := range e.distributions.Items {
		decided[e.distributions.Items[i].Name] = &e.distributions.Items[i]
	}
	wanted := map[string]map[string]v1alpha1.DistributionCluster{} // by member, by kind/name
	for member := range e.members {
		wanted[member] = map[string]v1alpha1.DistributionCluster{}
	}
	templates := e.templates.all()
	for _, at := range slices.Sorted(maps.Keys(templates)) {
		name := distributionOf(at)
		d := decided[name]
		delete(decided, name)
		if d == nil {
			fault("%s has no Distribution", at)
			continue
		}
		for _, text := range misplaced(templates[at], d) {
			fault("%s %s", at, text)
		}
		for _, c := range d.Spec.Clusters {
			if wanted[c.Name] == nil {
				fault("%s is placed in %s, which is no member", at, c.Name)
				continue
			}
			wanted[c.Name][at] = c
		}
		if text := e.miscounted(at, templates[at]); text != "" {
			fault("%s %s", at, text)
		}
	}
	for name := range decided {
		fault("Distribution %s has no template", name)
	}
	for _, member := range slices.Sorted(maps.Keys(e.members)) {
		for _, text := range append(e.touched(member), e.wrong(member, templates, wanted[member])...) {
			fault("%s: %s", member, text)
		}
	}
	return faults
}

// distributionOf names the Distribution of an object.
func distributionOf(at string) string {
	kind, name, _ := strings.Cut(at, "/")
	if kind == "Deployment" {
		return "deployment.apps-" + name
	}
	return strings.ToLower(kind) + "-" + name
}

// misplaced says how a decision is not what its template asks for.
func misplaced(template client.Object, d *v1alpha1.Distribution) (faults []string) {
	line := template.GetAnnotations()[v1alpha1.ClustersAnnotation]
	sum := d.Spec.Unplaced
	for _, c := range d.Spec.Clusters {
		if line != "*=1" && !strings.Contains(","+line, ","+c.Name+"=") {
			faults = append(faults, fmt.Sprintf("is placed in %s, and the line is %s", c.Name, line))
		}
		if c.Replicas != nil {
			sum += *c.Replicas
		}
	}
	switch o := template.(type) {
	case *appsv1.Deployment:
		if sum != int64(*o.Spec.Replicas) {
			faults = append(faults, fmt.Sprintf("has %d replicas, and %d are decided or reported missing",
				*o.Spec.Replicas, sum))
		}
	default:
		if line != "*=1" && len(d.Spec.Clusters) != strings.Count(line, "=") {
			faults = append(faults, fmt.Sprintf("is placed in %d members, and the line is %s", len(d.Spec.Clusters), line))
		}
	}
	return faults
}

// miscounted says how a template's status is not the sum of its copies'.
func (e evidence) miscounted(at string, template client.Object) string {
	told, ok := template.(*appsv1.Deployment)
	if !ok {
		return ""
	}
	var ready, all int32
	for _, member := range e.members {
		if c, ok := member.all()[at].(*appsv1.Deployment); ok && isOurs(c) {
			ready, all = ready+c.Status.ReadyReplicas, all+c.Status.Replicas
		}
	}
	if told.Status.ReadyReplicas != ready || told.Status.Replicas != all {
		return fmt.Sprintf("says %d of %d replicas are ready, and its copies say %d of %d", told.Status.ReadyReplicas,
			told.Status.Replicas, ready, all)
	}
	return ""
}

func isOurs(obj client.Object) bool { return obj.GetLabels()[v1alpha1.HubLabel] != "" }

// touched says which foreign objects of a member are not as they were.
func (e evidence) touched(member string) (faults []string) {
	there := e.members[member].all()
	for _, at := range slices.Sorted(maps.Keys(e.foreigners)) {
		where, name, _ := strings.Cut(at, "/")
		if where != member {
			continue
		}
		switch now, was := there["ConfigMap/"+name], e.foreigners[at]; {
		case now == nil:
			faults = append(faults, fmt.Sprintf("the foreign ConfigMap %s is gone", name))
		case now.GetUID() != was.uid || now.GetResourceVersion() != was.version:
			faults = append(faults, fmt.Sprintf("the foreign ConfigMap %s was touched", name))
		}
	}
	return faults
}

// wrong says which copies in a member are missing, not as they should be, or too many.
func (e evidence) wrong(
	member string, templates map[string]client.Object, wanted map[string]v1alpha1.DistributionCluster,
) (faults []string) {
	there := e.members[member].all()
	for _, at := range slices.Sorted(maps.Keys(wanted)) {
		_, name, _ := strings.Cut(at, "/")
		_, isForeign := e.foreigners[member+"/"+name]
		copied, template := there[at], templates[at]
		switch {
		case isForeign && strings.HasPrefix(at, "ConfigMap/"): // the hub says so, and leaves it
		case copied == nil:
			faults = append(faults, at+" is missing")
		case copied.GetAnnotations()[v1alpha1.TemplateAnnotation] != string(template.GetUID()):
			faults = append(faults, at+" is of another template")
		default:
			if text := drifted(copied, template, wanted[at]); text != "" {
				faults = append(faults, at+" "+text)
			}
		}
	}
	for _, at := range slices.Sorted(maps.Keys(there)) {
		if _, isWanted := wanted[at]; !isWanted && isOurs(there[at]) {
			faults = append(faults, at+" is ours and should not be there")
		}
	}
	return faults
}

// drifted says how a copy is not what its template and the decision make it.
func drifted(copied, template client.Object, c v1alpha1.DistributionCluster) string {
	switch o := copied.(type) {
	case *corev1.ConfigMap:
		if want := template.(*corev1.ConfigMap).Data; !maps.Equal(o.Data, want) {
			return fmt.Sprintf("has %v, want %v", o.Data, want)
		}
	case *appsv1.Deployment:
		if c.Replicas == nil || int64(*o.Spec.Replicas) != *c.Replicas {
			return fmt.Sprintf("has %d replicas, want %v", *o.Spec.Replicas, c.Replicas)
		}
		was, want := o.Spec.Template.Spec.Containers, template.(*appsv1.Deployment).Spec.Template.Spec.Containers
		if len(was) != len(want) || was[0].Image != want[0].Image {
			return "has other containers"
		}
	}
	return ""
}

// orderly is evidence of a federation where all is well: a ConfigMap in both members, where one has a foreign one of
// its name; a Deployment divided 2:1; and something foreign that nobody asks for.
func orderly() evidence {
	meta := func(name, uid, line string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, UID: types.UID(uid),
			Annotations: map[string]string{v1alpha1.ClustersAnnotation: line}}
	}
	copyOf := func(name, template string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.HubLabel: "hub"},
			Annotations: map[string]string{v1alpha1.TemplateAnnotation: template}}
	}
	foreign := func(name string) corev1.ConfigMap {
		return corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("u-" + name), ResourceVersion: "7"}}
	}
	web := func(m metav1.ObjectMeta, replicas, ready int32) appsv1.Deployment {
		d := appsv1.Deployment{ObjectMeta: m}
		d.Spec.Replicas = &replicas
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Image: "web:1"}}
		d.Status.Replicas, d.Status.ReadyReplicas = replicas, ready
		return d
	}
	decision := func(name string, clusters ...v1alpha1.DistributionCluster) v1alpha1.Distribution {
		return v1alpha1.Distribution{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: v1alpha1.DistributionSpec{Clusters: clusters}}
	}
	two, one := int64(2), int64(1)
	data := map[string]string{"a": "b"}
	return evidence{
		templates: belongings{
			configMaps: corev1.ConfigMapList{Items: []corev1.ConfigMap{
				{ObjectMeta: meta("c", "uid-c", "*=1"), Data: data}, {ObjectMeta: meta("r", "uid-r", "red=1"), Data: data}}},
			deployments: appsv1.DeploymentList{Items: []appsv1.Deployment{web(meta("w", "uid-w", "red=2,blue=1"), 3, 2)}},
		},
		distributions: v1alpha1.DistributionList{Items: []v1alpha1.Distribution{
			decision("configmap-c", v1alpha1.DistributionCluster{Name: "red"}, v1alpha1.DistributionCluster{Name: "blue"}),
			decision("configmap-r", v1alpha1.DistributionCluster{Name: "red"}),
			decision("deployment.apps-w", v1alpha1.DistributionCluster{Name: "red", Replicas: &two},
				v1alpha1.DistributionCluster{Name: "blue", Replicas: &one}),
		}},
		members: map[string]belongings{
			"red": {
				configMaps: corev1.ConfigMapList{Items: []corev1.ConfigMap{
					{ObjectMeta: copyOf("c", "uid-c"), Data: data}, {ObjectMeta: copyOf("r", "uid-r"), Data: data}}},
				deployments: appsv1.DeploymentList{Items: []appsv1.Deployment{web(copyOf("w", "uid-w"), 2, 1)}},
			},
			"blue": {
				configMaps:  corev1.ConfigMapList{Items: []corev1.ConfigMap{foreign("c"), foreign("other")}},
				deployments: appsv1.DeploymentList{Items: []appsv1.Deployment{web(copyOf("w", "uid-w"), 1, 1)}},
			},
		},
		foreigners: map[string]stamp{"blue/c": {"u-c", "7"}, "blue/other": {"u-other", "7"}},
	}
}

// The judge of TestTorture finds every kind of disorder, and none in order.
func TestJudgeOfTorture(t *testing.T) {
	if faults := orderly().judge(); len(faults) > 0 {
		t.Fatalf("order is found guilty: %v", faults)
	}
	inRed := func(e *evidence, change func(*belongings)) {
		b := e.members["red"]
		change(&b)
		e.members["red"] = b
	}
	for _, row := range []struct {
		what  string
		spoil func(*evidence)
		says  string
	}{
		{"a copy is lost", func(e *evidence) {
			inRed(e, func(b *belongings) { b.configMaps.Items = b.configMaps.Items[:1] })
		}, "red: ConfigMap/r is missing"},
		{"a copy has drifted", func(e *evidence) {
			inRed(e, func(b *belongings) { b.configMaps.Items[0].Data = map[string]string{"a": "c"} })
		}, "red: ConfigMap/c has map[a:c], want map[a:b]"},
		{"a copy has other replicas", func(e *evidence) {
			inRed(e, func(b *belongings) { *b.deployments.Items[0].Spec.Replicas = 99 })
		}, "red: Deployment/w has 99 replicas"},
		{"a copy has another image", func(e *evidence) {
			inRed(e, func(b *belongings) { b.deployments.Items[0].Spec.Template.Spec.Containers[0].Image = "web:0" })
		}, "red: Deployment/w has other containers"},
		{"a copy is of a template that was deleted and made again", func(e *evidence) {
			inRed(e, func(b *belongings) { b.configMaps.Items[0].Annotations[v1alpha1.TemplateAnnotation] = "uid-of-old" })
		}, "red: ConfigMap/c is of another template"},
		{"a copy is left behind by a template that is gone", func(e *evidence) {
			e.templates.configMaps.Items = e.templates.configMaps.Items[:1]
			e.distributions.Items = slices.Delete(e.distributions.Items, 1, 2)
		}, "red: ConfigMap/r is ours and should not be there"},
		{"a copy is left behind in a member that was left", func(e *evidence) {
			e.templates.configMaps.Items[1].Annotations[v1alpha1.ClustersAnnotation] = "blue=1"
			e.distributions.Items[1].Spec.Clusters[0].Name = "blue"
		}, "red: ConfigMap/r is ours and should not be there"},
		{"a foreign object is gone", func(e *evidence) { e.foreigners["blue/third"] = stamp{"u-third", "7"} },
			"blue: the foreign ConfigMap third is gone"},
		{"a foreign object was written", func(e *evidence) { e.foreigners["blue/other"] = stamp{"u-other", "6"} },
			"blue: the foreign ConfigMap other was touched"},
		{"a foreign object was replaced", func(e *evidence) { e.foreigners["blue/c"] = stamp{"u-first", "7"} },
			"blue: the foreign ConfigMap c was touched"},
		{"replicas are lost between the decision and the template", func(e *evidence) {
			*e.templates.deployments.Items[0].Spec.Replicas = 4
		}, "Deployment/w has 4 replicas, and 3 are decided or reported missing"},
		{"a decision names a member that the line does not", func(e *evidence) {
			e.templates.configMaps.Items[1].Annotations[v1alpha1.ClustersAnnotation] = "blue=1"
		}, "ConfigMap/r is placed in red, and the line is blue=1"},
		{"a decision leaves out a member that the line names", func(e *evidence) {
			e.templates.configMaps.Items[1].Annotations[v1alpha1.ClustersAnnotation] = "red=1,blue=1"
		}, "ConfigMap/r is placed in 1 members, and the line is red=1,blue=1"},
		{"a decision names a member that is none", func(e *evidence) {
			e.distributions.Items[0].Spec.Clusters[1].Name = "mars"
		}, "ConfigMap/c is placed in mars, which is no member"},
		{"a template has no decision", func(e *evidence) { e.distributions.Items = e.distributions.Items[1:] },
			"ConfigMap/c has no Distribution"},
		{"a decision has no template", func(e *evidence) {
			e.templates.configMaps.Items = e.templates.configMaps.Items[:1]
		}, "Distribution configmap-r has no template"},
		{"a status is not the sum", func(e *evidence) {
			inRed(e, func(b *belongings) { b.deployments.Items[0].Status.ReadyReplicas = 2 })
		}, "Deployment/w says 2 of 3 replicas are ready, and its copies say 3 of 3"},
	} {
		t.Run(row.what, func(t *testing.T) {
			e := orderly()
			row.spoil(&e)
			for _, fault := range e.judge() {
				if strings.HasPrefix(fault.Error(), row.says) {
					return
				}
			}
			t.Errorf("%q is not among %v", row.says, e.judge())
		})
	}
}
