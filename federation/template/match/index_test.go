package match

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// namespaces of the hub with their labels.
func namespaces(name string) labels.Set {
	return map[string]labels.Set{"shop": {"team": "shop"}, "blog": {"team": "blog"}}[name]
}

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return obj
}

// placed makes a Placement, or a ClusterPlacement without a namespace, of an age in minutes.
func placed(t testing.TB, ix *Index, namespace, name string, age int, resources string) error {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	meta.CreationTimestamp = metav1.NewTime(time.Unix(1_000_000, 0).Add(-time.Duration(age) * time.Minute))
	var spec v1alpha1.PlacementSpec
	if err := yaml.Unmarshal([]byte(resources), &spec.Resources); err != nil {
		t.Fatalf("%v in %s", err, resources)
	}
	if namespace == "" {
		return ix.SetClusterPlacement(&v1alpha1.ClusterPlacement{ObjectMeta: meta, Spec: spec})
	}
	return ix.SetPlacement(&v1alpha1.Placement{ObjectMeta: meta, Spec: spec})
}

// winner tells who claims an object, and who would like to.
func winner(t testing.TB, ix *Index, obj *unstructured.Unstructured) string {
	t.Helper()
	claim, err := ix.For(obj)
	if err != nil {
		return "error: " + err.Error()
	}
	if claim == nil {
		return "nobody"
	}
	told := claim.Source.Kind
	if claim.Source.Name != "" {
		told += " " + claim.Source.Name
	}
	for _, other := range claim.Contested {
		told += ", against " + other.Kind + " " + other.Name
	}
	return told
}

const (
	web    = "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: shop, name: web, labels: {app: web}}}"
	inBlog = "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: blog, name: web, labels: {app: web}}}"
	secret = "{apiVersion: v1, kind: Secret, type: Opaque, metadata: {namespace: shop, name: password}}"
	token  = "{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, " +
		"metadata: {namespace: shop, name: t}}"
	hubKey = "{apiVersion: v1, kind: Secret, type: Opaque, metadata: {namespace: hanse-system, name: member-east}}"
	shop   = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: shop}}}"
	system = "{apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}"
	role   = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, " +
		"metadata: {name: acme:view, labels: {app: web}}}"
	lined = "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: shop, name: web, " +
		"annotations: {hanse.io/clusters: east}}}"
	garbled = "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: shop, name: web, " +
		"annotations: {hanse.io/clusters: east=many}}}"
)

// placements of the table: namespace, name, age in minutes, resources.
type placements []struct {
	namespace, name string
	age             int
	resources       string
}

func TestFor(t *testing.T) {
	everything := placements{
		{"shop", "by-name", 1, "[{kind: Deployment, name: web}]"},
		{"shop", "by-label", 5, "[{selector: {matchLabels: {app: web}}}]"},
		{"", "cluster-by-name", 9, "[{kind: ClusterRole, name: 'acme:view'}]"},
		{"", "cluster-by-label", 9, "[{selector: {matchLabels: {app: web}}}]"},
		{"", "namespace", 9, "[{kind: Namespace, selector: {matchLabels: {team: shop}}}]"},
	}
	for _, c := range []struct {
		what       string
		placements placements
		object     string
		want       string
	}{
		{"no placement", nil, web, "nobody"},
		{"the annotation comes first", everything, lined, "Annotation"},
		{"an annotation that cannot be read is no claim of another", everything, garbled,
			`error: annotation hanse.io/clusters: at character 6 of "east=many": the weight "many" is not a whole number`},
		{"a name comes before an older label", everything, web, "Placement by-name"},
		{"a label comes before the namespace", everything[1:], web, "Placement by-label"},
		{"a namespace carries what is in it", everything[2:], web, "ClusterPlacement namespace"},
		{"and nothing of another", everything[2:], inBlog, "nobody"},
		{"a namespace is claimed itself", everything[2:], shop, "ClusterPlacement namespace"},
		{"a cluster-scoped name comes before a label", everything, role, "ClusterPlacement cluster-by-name"},
		{"a cluster-scoped label", everything[3:], role, "ClusterPlacement cluster-by-label"},
		{"the older of two keeps it", placements{
			{"shop", "younger", 1, "[{kind: Deployment}]"}, {"shop", "older", 2, "[{kind: Deployment}]"},
		}, web, "Placement older, against Placement younger"},
		{"of one age, the first by name", placements{
			{"shop", "b", 1, "[{kind: Deployment}]"}, {"shop", "c", 1, "[{kind: Deployment}]"},
			{"shop", "a", 1, "[{kind: Deployment}]"},
		}, web, "Placement a, against Placement b, against Placement c"},
		{"a lesser claim contests nothing", placements{
			{"shop", "by-name", 1, "[{kind: Deployment, name: web}]"}, {"shop", "by-label", 2, "[{kind: Deployment}]"},
		}, web, "Placement by-name"},
		{"a placement that says it twice does not contest itself", placements{
			{"shop", "twice", 1, "[{kind: Deployment, name: web}, {kind: Deployment}, {kind: Deployment, name: web}]"},
		}, web, "Placement twice"},
		{"another namespace's placement says nothing here", placements{
			{"blog", "theirs", 1, "[{kind: Deployment, name: web}, {kind: Deployment}]"},
		}, web, "nobody"},
		{"the group tells kinds of one name apart", placements{
			{"shop", "other", 1, "[{apiVersion: acme.io/v1, kind: Deployment, name: web}]"},
		}, web, "nobody"},
		{"the version does not", placements{
			{"shop", "old", 1, "[{apiVersion: apps/v1beta1, kind: Deployment, name: web}]"},
		}, web, "Placement old"},
		{"every kind with a label", placements{
			{"shop", "labeled", 1, "[{selector: {matchExpressions: [{key: app, operator: Exists}]}}]"},
		}, web, "Placement labeled"},
		{"a Secret goes with its namespace", everything[2:], secret, "ClusterPlacement namespace"},
		{"a token of the hub does not", everything[2:], token, "nobody"},
		{"nor by its kind", placements{{"shop", "secrets", 1, "[{kind: Secret}]"}}, token, "nobody"},
		{"but by its name", placements{{"shop", "secrets", 1, "[{kind: Secret, name: t}]"}}, token, "Placement secrets"},
		{"all namespaces are not those of the system", placements{{"", "all", 1, "[{kind: Namespace}]"}}, system, "nobody"},
		{"nor what is in them", placements{{"", "all", 1, "[{kind: Namespace}]"}}, hubKey, "nobody"},
		{"not even by name", placements{{"", "all", 1, "[{kind: Namespace, name: hanse-system}]"}}, hubKey, "nobody"},
		{"a ClusterPlacement claims no single object of a namespace", placements{
			{"", "wrong", 1, "[{kind: Deployment, name: web}, {kind: Deployment}]"},
		}, web, "nobody"},
		{"somebody else's kind Namespace is none", placements{
			{"", "theirs", 1, "[{apiVersion: acme.io/v1, kind: Namespace}]"},
		}, web, "nobody"},
		{"one namespace by name", placements{{"", "one", 1, "[{kind: Namespace, name: shop}]"}}, web, "ClusterPlacement one"},
	} {
		t.Run(c.what, func(t *testing.T) {
			ix := NewIndex(namespaces)
			for _, p := range c.placements {
				if err := placed(t, ix, p.namespace, p.name, p.age, p.resources); err != nil {
					t.Fatal(err)
				}
			}
			if got := winner(t, ix, object(t, c.object)); got != c.want {
				t.Errorf("claimed by %s, want %s", got, c.want)
			}
		})
	}
}

// A placement that cannot be compiled claims nothing, says why, and takes nothing else down; mended, it claims.
func TestBrokenPlacement(t *testing.T) {
	ix, key := NewIndex(namespaces), Key{"shop", "web"}
	deployments := "[{kind: Deployment}]"
	if err := placed(t, ix, "shop", "web", 1, deployments); err != nil || ix.Err(key) != nil {
		t.Fatal(err, ix.Err(key))
	}
	odd := "[{kind: Deployment}, {selector: {matchExpressions: [{key: app, operator: Is}]}}]"
	err := placed(t, ix, "shop", "web", 1, odd)
	want := `spec.resources[1].selector: "Is" is not a valid label selector operator`
	if err == nil || err.Error() != want || ix.Err(key) == nil || ix.Err(key).Error() != want {
		t.Errorf("the error is %v, kept as %v, want %s", err, ix.Err(key), want)
	}
	if got := winner(t, ix, object(t, web)); got != "nobody" {
		t.Errorf("a broken placement is claimed by: %s", got)
	}
	if _, ok := ix.Get(key); ok {
		t.Error("a broken placement has a claim")
	}
	if err := placed(t, ix, "shop", "web", 1, deployments); err != nil || ix.Err(key) != nil {
		t.Errorf("mended, it still says %v, %v", err, ix.Err(key))
	}
	if got := winner(t, ix, object(t, web)); got != "Placement web" {
		t.Errorf("mended, it is claimed by %s", got)
	}
	_ = placed(t, ix, "shop", "web", 1, "[{apiVersion: a/b/c, kind: Deployment}]")
	ix.Delete(key)
	checkEmpty(t, ix)
}

func checkEmpty(t *testing.T, ix *Index) {
	t.Helper()
	if left := len(ix.rules) + len(ix.named) + len(ix.broad) + len(ix.broken); left > 0 {
		t.Errorf("an index without placements holds %d things: %v %v %v %v", left, ix.rules, ix.named, ix.broad, ix.broken)
	}
}

// What a claim says is the placement's own word; the claims that the index gives out do not touch one another.
func TestClaimOfPlacement(t *testing.T) {
	ix := NewIndex(namespaces)
	p := &v1alpha1.ClusterPlacement{ObjectMeta: metav1.ObjectMeta{Name: "all", Generation: 7}}
	p.Spec = v1alpha1.PlacementSpec{
		Resources:    []v1alpha1.ResourceSelector{{Kind: "Namespace"}},
		OnConflict:   v1alpha1.ConflictAdopt,
		OnDelete:     v1alpha1.OrphanCopies,
		Paused:       true,
		Dependencies: "Ignore",
		Overrides:    []v1alpha1.Override{{Labels: map[string]string{"a": "b"}}},
	}
	if err := ix.SetClusterPlacement(p); err != nil {
		t.Fatal(err)
	}
	got, _ := ix.Get(Key{Name: "all"})
	want := Claim{
		Source: v1alpha1.PlacementReference{
			Kind: "ClusterPlacement", Name: "all", Generation: 7, Terms: got.Source.Terms,
		},
		OnConflict: v1alpha1.ConflictAdopt, OnDelete: v1alpha1.OrphanCopies, Paused: true, Overrides: p.Spec.Overrides,
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Source.Terms == "" {
		t.Errorf("terms %q (-want +got):\n%s", got.Source.Terms, diff)
	}
	if err := placed(t, ix, "", "late", 0, "[{kind: Namespace}]"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // told to one caller, it is not told twice to the next
		if got := winner(t, ix, object(t, shop)); got != "ClusterPlacement all, against ClusterPlacement late" {
			t.Errorf("claimed by %s", got)
		}
	}
}

// The hash of the terms changes with the shares and with nothing else: replicas move when it does.
func TestTerms(t *testing.T) {
	terms := func(change func(*v1alpha1.PlacementSpec)) string {
		weight := int64(2)
		spec := v1alpha1.PlacementSpec{Clusters: []v1alpha1.ClusterTerm{{Name: "east", Weight: &weight}}, By: "Weight"}
		change(&spec)
		r, err := compile(Key{}, v1alpha1.PlacementReference{}, metav1.ObjectMeta{}, &spec)
		if err != nil {
			t.Fatal(err)
		}
		return r.claim.Source.Terms
	}
	same := terms(func(*v1alpha1.PlacementSpec) {})
	for what, c := range map[string]struct {
		change func(*v1alpha1.PlacementSpec)
		moves  bool
	}{
		"a weight":    {func(s *v1alpha1.PlacementSpec) { *s.Clusters[0].Weight = 3 }, true},
		"a cluster":   {func(s *v1alpha1.PlacementSpec) { s.Clusters[0].Name = "west" }, true},
		"by":          {func(s *v1alpha1.PlacementSpec) { s.By = "Capacity" }, true},
		"pack":        {func(s *v1alpha1.PlacementSpec) { s.Pack = "Fill" }, true},
		"replicas":    {func(s *v1alpha1.PlacementSpec) { s.Replicas = "Duplicate" }, true},
		"spread":      {func(s *v1alpha1.PlacementSpec) { s.Spread = []v1alpha1.SpreadTerm{{By: "region"}} }, true},
		"nothing":     {func(*v1alpha1.PlacementSpec) {}, false},
		"resources":   {func(s *v1alpha1.PlacementSpec) { s.Resources = []v1alpha1.ResourceSelector{{Kind: "A"}} }, false},
		"an override": {func(s *v1alpha1.PlacementSpec) { s.Overrides = []v1alpha1.Override{{}} }, false},
		"a pause":     {func(s *v1alpha1.PlacementSpec) { s.Paused = true }, false},
	} {
		if got := terms(c.change) != same; got != c.moves {
			t.Errorf("%s: replicas move %t, want %t", what, got, c.moves)
		}
	}
}

// A change is told to whom it concerns: the objects that a placement claims, or claimed before.
func TestEither(t *testing.T) {
	ix, key := NewIndex(namespaces), Key{"shop", "p"}
	objects := map[string]*unstructured.Unstructured{}
	for _, name := range []string{"before", "after", "never"} {
		objects[name] = object(t, strings.Replace(web, "name: web", "name: "+name, 1))
	}
	var before, after *rule
	for _, name := range []string{"before", "after"} {
		before = ix.compiled(key)
		if err := placed(t, ix, "shop", "p", 1, "[{kind: Deployment, name: "+name+"}]"); err != nil {
			t.Fatal(err)
		}
		after = ix.compiled(key)
	}
	for name, want := range map[string]bool{"before": true, "after": true, "never": false} {
		if got := ix.either(before, after)(objects[name]); got != want {
			t.Errorf("%s is concerned: %t, want %t", name, got, want)
		}
		if got := ix.Claims(key, objects[name]); got != (name == "after") {
			t.Errorf("%s is claimed now: %t", name, got)
		}
	}
	if ix.either(nil, nil)(objects["after"]) {
		t.Error("no placement concerns an object")
	}
}
