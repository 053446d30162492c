package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// file writes manifests to a file of the test.
func (s *scenario) file(manifests ...string) string {
	s.Helper()
	path := filepath.Join(s.TempDir(), "app.yaml")
	s.must(os.WriteFile(path, []byte(strings.Join(manifests, "\n---\n")), 0o600))
	return path
}

// plan runs hanse plan and returns what it says, with its exit code.
func (s *scenario) plan(file string, flags ...string) harness.Result {
	s.Helper()
	r, err := s.hub.Hanse(s.Context(), append([]string{"plan", "-n", s.ns, "-f", file}, flags...)...)
	s.must(err)
	return r
}

// planned is the plan as data.
func (s *scenario) planned(file string, flags ...string) v1alpha1.PlanStatus {
	s.Helper()
	r := s.plan(file, append(flags, "-o", "json")...)
	var p v1alpha1.Plan
	if err := json.Unmarshal([]byte(r.Stdout), &p); err != nil {
		s.Fatalf("%v: %s", err, r)
	}
	return p.Status
}

func says(t *testing.T, what, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", what, want, text)
		}
	}
}

// withSettings is a Deployment that refers to a ConfigMap.
func withSettings(replicas int) string {
	return strings.ReplaceAll(deployment("web", replicas), "containers: [{name: web,",
		"containers: [{name: web, envFrom: [{configMapRef: {name: settings}}],")
}

// A plan says what an apply would do, does nothing, and the apply then does just that.
func TestPlanThenPlace(t *testing.T) {
	s := onFleet(t)
	app := s.file(configMap("settings", "a", "b"), withSettings(6))
	r := s.plan(app, "--to", "east=2,west=1")
	if r.Code != 0 {
		t.Fatalf("the plan: %s", r)
	}
	says(t, "the plan", r.Stdout, "deployment/web in "+s.ns+": 6 replicas", "(on the hub: created)", "create",
		"configmap/settings in "+s.ns, "4 to create", "Nothing was written")

	if d, err := get[appsv1.Deployment](s, s.hub.Client, "web"); err != nil || d != nil {
		t.Errorf("the plan has left a template: %v %v", d, err)
	}
	for _, m := range s.members {
		if err := m.Client.Get(s.Context(), client.ObjectKey{Name: s.ns}, &corev1.Namespace{}); client.IgnoreNotFound(err) != nil || err == nil {
			t.Errorf("the plan has made the namespace in %s: %v", m.Name(), err)
		}
	}

	s.hanse("place", "-n", s.ns, "-f", app, "--to", "east=2,west=1")
	s.awaitShares("web", shares{"east": 4, "west": 2})
	r = s.plan(app, "--to", "east=2,west=1")
	says(t, "the plan of what is there", r.Stdout, "(on the hub: unchanged)", "4 unchanged")

	t.Run("a change is shown by path, and made by nobody", func(t *testing.T) {
		before := s.copiesOf("web")
		next := s.file(configMap("settings", "a", "c"), strings.ReplaceAll(withSettings(9), cluster.WebImage, cluster.WebImageNext))
		r := s.plan(next, "--to", "east=2,west=1")
		says(t, "the plan", r.Stdout, "(on the hub: configured)", "4 -> 6", "2 -> 3",
			`~ .spec.template.spec.containers[name="web"].image: "`+cluster.WebImage+`" -> "`+cluster.WebImageNext+`"`,
			"~ .spec.replicas: 4 -> 6", `~ .data.a: "b" -> "c"`, "4 to change")
		if after := s.copiesOf("web"); after != before {
			t.Errorf("the plan has changed the copies: %s, before %s", after, before)
		}
		s.hanse("place", "-n", s.ns, "-f", next, "--to", "east=2,west=1", "--overwrite")
		s.awaitShares("web", shares{"east": 6, "west": 3})
	})

	t.Run("a member that is left loses its copy", func(t *testing.T) {
		status := s.planned(app, "--to", "east=1")
		var web v1alpha1.PlannedObject
		for _, o := range status.Objects {
			if o.Kind == "Deployment" {
				web = o
			}
		}
		verdicts := map[string]v1alpha1.Verdict{}
		for _, c := range web.Clusters {
			verdicts[c.Name] = c.Verdict
		}
		if verdicts["east"] != "Configured" || verdicts["west"] != "Deleted" || len(verdicts) != 2 {
			t.Errorf("the plan says %v", verdicts)
		}
	})
}

// copiesOf are the resource versions of a Deployment's specification in the members, as text.
func (s *scenario) copiesOf(name string) string {
	s.Helper()
	var text strings.Builder
	for _, m := range s.members {
		d, err := get[appsv1.Deployment](s, m.Client, name)
		s.must(err)
		if d != nil {
			fmt.Fprintf(&text, "%s=%d,%s ", m.Name(), d.Generation, d.Spec.Template.Spec.Containers[0].Image)
		}
	}
	return text.String()
}

// A new Placement alone is a plan about what is on the hub already.
func TestPlanAPlacement(t *testing.T) {
	s := onFleet(t)
	s.apply(deployment("web", 6), placement("web", []string{"Deployment/web"}, []string{"east=1", "west=1"}))
	s.awaitShares("web", shares{"east": 3, "west": 3})
	next := s.file(placement("web", []string{"Deployment/web"}, []string{"east=2", "south=1"},
		"overrides: [{clusters: [{name: south}], labels: {where: south}}]"))
	r := s.plan(next)
	says(t, "the plan", r.Stdout, "deployment/web in "+s.ns, "concerned, not in the file", "south")
	s.kubectl("", "apply", "-f", next)
	s.awaitShares("web", shares{"east": 4, "south": 2})
	if d, err := get[appsv1.Deployment](s, s.member("south").Client, "web"); err != nil || d.Labels["where"] != "south" {
		t.Errorf("south: %v %v", d, err)
	}
	says(t, "the explanation", s.hanse("explain", "-n", s.ns, "deployment/web"), "Changed at", "west")
}

// What would not go well is said, with exit code 3: a foreign object, a refused one, a kind that the hub does not have.
func TestPlanTrouble(t *testing.T) {
	s := onFleet(t)
	s.in("east", "", "create", "namespace", s.ns)
	s.in("east", "", "create", "configmap", "settings", "--from-literal=a=private")
	r := s.plan(s.file(configMap("settings", "a", "b")), "--to", "east=1,west=1")
	if r.Code != 3 {
		t.Errorf("the plan of a conflict: %s", r)
	}
	says(t, "the plan of a conflict", r.Stdout, "Conflict", "ForeignObject", "1 to create", "1 in conflict")
	if strings.Contains(r.Stdout, "private") {
		t.Errorf("the plan shows what is not ours:\n%s", r.Stdout)
	}
	r = s.plan(s.file(strings.ReplaceAll(deployment("web", 2), "replicas: 2", "replicas: -2"),
		"apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w}\nspec: {}"), "--to", "east=1")
	if r.Code != 3 {
		t.Errorf("the plan of bad manifests: %s", r)
	}
	says(t, "the plan of bad manifests", r.Stdout, "Refused: ", "spec.replicas", "CustomResourceDefinition")
	r = s.plan(s.file(deployment("web", 1)), "--to", "east=,")
	if r.Code != 2 || !strings.Contains(r.Stderr, "at character 6") {
		t.Errorf("the plan of a bad line: %s", r)
	}
}

// Nobody learns by a plan what they may not do.
func TestPlanAsSomebody(t *testing.T) {
	s := onFleet(t)
	s.kubectl("", "create", "serviceaccount", "planner")
	token, err := s.hub.Kube.CoreV1().ServiceAccounts(s.ns).CreateToken(s.Context(), "planner",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	s.must(err)
	config := rest.AnonymousClientConfig(s.hub.Config)
	config.BearerToken = token.Status.Token
	as, err := harness.NewClients(config)
	s.must(err)
	ask := func() (*v1alpha1.Plan, error) {
		obj := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"` + s.ns + `"},"data":{"a":"b"}}`
		p := &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{
			Clusters: "east=1", Objects: []runtime.RawExtension{{Raw: []byte(obj)}},
		}}
		return p, as.Client.Create(s.Context(), p)
	}
	p, err := ask() // anybody who is known may
	s.must(err)
	if o := p.Status.Objects[0]; !strings.Contains(o.Error, "forbidden") || len(o.Clusters) > 0 {
		t.Errorf("whoever may not write the object is told: %+v", o)
	}
	s.kubectl("", "create", "rolebinding", "edit", "--clusterrole=edit", "--serviceaccount="+s.ns+":planner")
	s.eventually("the plan is for whom may write the object", func() error {
		p, err := ask()
		if err == nil && (p.Status.Objects[0].Error != "" || len(p.Status.Objects[0].Clusters) != 1) {
			err = fmt.Errorf("it says %+v", p.Status.Objects[0])
		}
		return err
	})
	if len(p.Spec.Objects) > 0 {
		t.Error("the answer repeats the objects")
	}
	says(t, "discovery", s.kubectl("", "api-resources", "--api-group=hanse.io", "-o", "wide"), "plans ")
	planFile := s.file("apiVersion: hanse.io/v1alpha1\nkind: Plan\nspec:\n  clusters: east=1\n  objects:\n" +
		"  - {apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: " + s.ns + "}}")
	says(t, "kubectl create", s.kubectl("", "create", "-f", planFile, "-o", "yaml"), "verdict: Created")
}

// Explain tells what held a share, why others got nothing, and what the last decision changed.
func TestExplainAShare(t *testing.T) {
	s := onFleet(t)
	s.apply(deployment("web", 9), strings.ReplaceAll(
		placement("web", []string{"Deployment/web"}, []string{"east=2", "west=1"}), "weight: 2}", "weight: 2, max: 4}"))
	s.awaitShares("web", shares{"east": 4, "west": 5})
	said := s.hanse("explain", "-n", s.ns, "deployment/web")
	says(t, "the explanation", said, "HELD BY", "max", "EXACT SHARE", "Not selected by the placement: south")
	s.kubectl("", "scale", "deployment/web", "--replicas=12")
	s.awaitShares("web", shares{"east": 4, "west": 8})
	says(t, "the explanation", s.hanse("explain", "-n", s.ns, "deployment/web"), "Changed at", "west 5 -> 8", "Scaled")
}
