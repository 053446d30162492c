package admission

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// owned has the zone fleet.test, the namespaces a and b, and users: admin may claim all, zoe names of fleet.test.
func owned() *Owners {
	return &Owners{
		Zones: func() ([]v1alpha1.Zone, bool) {
			return []v1alpha1.Zone{{ObjectMeta: metav1.ObjectMeta{Name: "fleet.test"}}}, true
		},
		Namespaces: func(name string) (labels.Set, bool) { return nil, name == "a" || name == "b" },
		May: func(_ context.Context, who user.Info, verb, resource, name string) bool {
			return verb == "claim" && resource == "zones" &&
				(who.GetName() == "admin" || who.GetName() == "zoe" && name == "fleet.test")
		},
		Hub: "hub",
	}
}

func asking(names string, claimed string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"hostnames": []any{}}}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GlobalService"))
	u.SetNamespace("a")
	u.SetName("web")
	var all []any
	for _, name := range strings.Fields(names) {
		all = append(all, name)
	}
	u.Object["spec"] = map[string]any{"hostnames": all}
	if claimed != "" {
		u.SetAnnotations(map[string]string{v1alpha1.ClaimedNamesAnnotation: claimed})
	}
	return u
}

// write admits and validates as the API server does.
func write(p *Owners, who string, obj, old runtime.Object, kind schema.GroupVersionKind, subresource string) error {
	operation := admission.Create
	if old != nil {
		operation = admission.Update
	}
	a := admission.NewAttributesRecord(obj, old, kind, "a", "web", schema.GroupVersionResource{}, subresource, operation, nil,
		false, &user.DefaultInfo{Name: who})
	if err := p.Admit(context.Background(), a, nil); err != nil {
		return err
	}
	return p.Validate(context.Background(), a, nil)
}

func TestOwners(t *testing.T) {
	const forged = "www.fleet.test@*"
	kind := v1alpha1.GroupVersion.WithKind("GlobalService")
	for _, c := range []struct {
		what, who string
		now, old  *unstructured.Unstructured
		claimed   string
		says      string // empty: taken
	}{
		{"its own name", "tenant", asking("x.a.fleet.test", ""), nil, "", ""},
		{"another's name", "tenant", asking("payroll.b.fleet.test", ""), nil, "", "belongs to namespace b"},
		{"another's name by an administrator", "admin", asking("payroll.b.fleet.test", ""), nil, "", "belongs to namespace b"},
		{"the apex", "tenant", asking("fleet.test", ""), nil, "", "belongs to the Zone"},
		{"a name of no zone", "tenant", asking("www.example.com", ""), nil, "", ""},
		{"a forged claim", "tenant", asking("www.fleet.test", forged), nil, "", "belongs to the Zone"},
		{"a forged claim beside a name of its own", "tenant", asking("x.a.fleet.test", forged), nil, "", ""},
		{"a claim of all", "admin", asking("www.fleet.test", ""), nil, "www.fleet.test@*", ""},
		{"a claim of one zone", "zoe", asking("www.fleet.test", ""), nil, "www.fleet.test@fleet.test", ""},
		{"another change by a tenant keeps the claim", "tenant", asking("www.fleet.test x.a.fleet.test", ""),
			asking("www.fleet.test", forged), forged, ""},
		{"a claim is of one name", "tenant", asking("www.fleet.test ftp.fleet.test", ""), asking("www.fleet.test", forged), forged,
			"ftp.fleet.test belongs to the Zone"},
		{"a name that was given up is claimed no more", "tenant", asking("x.a.fleet.test", forged), asking("www.fleet.test", forged), "", ""},
		{"and does not come back by itself", "tenant", asking("www.fleet.test", forged), asking("x.a.fleet.test", ""), "", "belongs to the Zone"},
		{"what was stored before names had owners can be changed", "tenant", asking("fleet.test", forged), asking("fleet.test", ""), "", ""},
		{"and be claimed by who may", "admin", asking("fleet.test", ""), asking("fleet.test", ""), "fleet.test@*", ""},
		{"the hub hands on a claim", "hub", asking("www.fleet.test", forged), nil, forged, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			var old runtime.Object
			if c.old != nil {
				old = c.old
			}
			err := write(owned(), c.who, c.now, old, kind, "")
			if c.says == "" && err != nil || c.says != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, want %q", err, c.says)
			}
			if got := c.now.GetAnnotations()[v1alpha1.ClaimedNamesAnnotation]; err == nil && got != c.claimed {
				t.Errorf("claimed is %q, want %q", got, c.claimed)
			}
		})
	}
}

// What annotations ask for is not refused; who could claim it is written down, also against a status that forges it.
func TestOwnersOfAnnotatedServices(t *testing.T) {
	service := func(claimed string) *corev1.Service {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web", Annotations: map[string]string{
			"external-dns.kubernetes.io/hostname": "www.fleet.test"}}}
		if claimed != "" {
			s.Annotations[v1alpha1.ClaimedNamesAnnotation] = claimed
		}
		return s
	}
	kind := corev1.SchemeGroupVersion.WithKind("Service")
	for _, c := range []struct {
		who, subresource string
		now, old         *corev1.Service
		want             string
	}{
		{"tenant", "", service("www.fleet.test@*"), nil, ""},
		{"admin", "", service(""), nil, "www.fleet.test@*"},
		{"tenant", "status", service("www.fleet.test@*"), service(""), ""},
		{"tenant", "", service(""), service("www.fleet.test@*"), "www.fleet.test@*"},
	} {
		var old runtime.Object
		if c.old != nil {
			old = c.old
		}
		if err := write(owned(), c.who, c.now, old, kind, c.subresource); err != nil {
			t.Fatal(err)
		}
		if got := c.now.Annotations[v1alpha1.ClaimedNamesAnnotation]; got != c.want {
			t.Errorf("%s %s: claimed is %q, want %q", c.who, c.subresource, got, c.want)
		}
	}
}

// A hub that has not read its Zones yet takes no name on trust.
func TestOwnersBeforeTheZonesAreRead(t *testing.T) {
	p := owned()
	p.Zones = func() ([]v1alpha1.Zone, bool) { return nil, false }
	err := write(p, "tenant", asking("www.fleet.test", ""), nil, v1alpha1.GroupVersion.WithKind("GlobalService"), "")
	if !apierrors.IsServiceUnavailable(err) {
		t.Errorf("it says %v", err)
	}
}
