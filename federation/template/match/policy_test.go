package match

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

func specOfText(t testing.TB, text string) *v1alpha1.PlacementSpec {
	t.Helper()
	spec := &v1alpha1.PlacementSpec{}
	if err := yaml.UnmarshalStrict([]byte(text), spec); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return spec
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		spec string
		want placement.Policy
	}{
		{"{}", placement.Policy{}},
		{"clusters: [{name: east, weight: 2, min: 1, max: 9}, {name: west, tier: 1}]",
			placement.Policy{Terms: []placement.Term{
				{Names: []string{"east"}, Weight: ptr.To(int64(2)), Min: ptr.To(int64(1)), Max: ptr.To(int64(9))},
				{Names: []string{"west"}, Tier: 1},
			}}},
		{"clusters: [{selector: {matchLabels: {env: prod}}, weight: 0}]", placement.Policy{Terms: []placement.Term{
			{Selector: labels.SelectorFromSet(labels.Set{"env": "prod"}), Weight: ptr.To(int64(0))},
		}}},
		{"{by: Capacity, pack: Fill, rebalance: Always, overflow: Pending, replicas: Divide}", placement.Policy{
			By: placement.ByCapacity, Pack: placement.PackFill, Rebalance: placement.RebalanceAlways,
			Overflow: placement.OverflowPending, Replicas: placement.ModeDivide,
		}},
		{"replicas: Duplicate", placement.Policy{Replicas: placement.ModeDuplicate}},
		{"spread: [{by: region, min: 2, max: 3, whenUnsatisfiable: ScheduleAnyway}, {by: zone}]", placement.Policy{
			Spread: []placement.Spread{
				{By: "region", Min: ptr.To(2), Max: ptr.To(3), WhenUnsatisfiable: "ScheduleAnyway"}, {By: "zone"},
			},
		}},
		{"tolerations: [{key: gpu, value: a, effect: NoExecute, tolerationSeconds: 9}, {operator: Exists}, {}]",
			placement.Policy{Tolerations: []placement.Toleration{
				{Key: "gpu", Value: "a", Effect: "NoExecute", Seconds: ptr.To(int64(9))}, {Exists: true}, {Exists: true},
			}}},
		{"tolerations: [{key: gpu, operator: Exists}]", placement.Policy{
			Tolerations: []placement.Toleration{{Key: "gpu", Exists: true}},
		}},
		{"maxMoves: 3", placement.Policy{MaxMoves: &placement.Moves{Number: 3}}},
		{"maxMoves: 25%", placement.Policy{MaxMoves: &placement.Moves{Percent: 25}}},
		{"failover: {after: 5m}", placement.Policy{Failover: placement.Failover{After: 5 * time.Minute}}},
		{"failover: {comeBack: true}", placement.Policy{Failover: placement.Failover{ComeBack: true}}},
		{"failover: {disabled: true, after: 5m}", placement.Policy{Failover: placement.Failover{After: -1}}},
		// At once is not the default of the engine, which 0 stands for.
		{"failover: {after: 0s}", placement.Policy{Failover: placement.Failover{After: time.Millisecond}}},
	} {
		got, err := Policy(specOfText(t, c.spec))
		if err != nil {
			t.Errorf("%s: %v", c.spec, err)
		}
		selectors := cmp.Comparer(func(a, b labels.Selector) bool {
			return (a == nil) == (b == nil) && (a == nil || a.String() == b.String())
		})
		if diff := cmp.Diff(c.want, got, selectors, cmpopts.EquateComparable()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.spec, diff)
		}
	}
}

func TestPolicyExpression(t *testing.T) {
	policy, err := Policy(specOfText(t, `clusters: [{expression: 'cluster.region.startsWith("eu-")'}]`))
	if err != nil || policy.Terms[0].Expression == nil {
		t.Fatalf("the expression is %v: %v", policy.Terms, err)
	}
}

// Whoever wrote the placement reads these.
func TestValidate(t *testing.T) {
	for _, c := range []struct {
		spec string
		want []string // the lines of the error; a line may end in "…"
	}{
		{"resources: [{kind: Deployment}]", nil},
		{"clusters: [{name: east}, {selector: {matchExpressions: [{key: env, operator: In}]}}]", []string{
			`spec.clusters[1].selector: values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty`,
		}},
		{"clusters: [{expression: 'cluster.region ='}]", []string{"spec.clusters[0].expression: …"}},
		{"clusters: [{expression: 'cluster.region'}]", []string{"spec.clusters[0].expression: …"}},
		{"resources: [{kind: A, selector: {matchExpressions: [{key: 'a b', operator: Exists}]}}]", []string{
			"spec.resources[0].selector: key: Invalid value: \"a b\": …",
		}},
		{"resources: [{apiVersion: a/b/c, kind: A}]", []string{
			"spec.resources[0].apiVersion: unexpected GroupVersion string: a/b/c",
		}},
		{"maxMoves: most", []string{`spec.maxMoves: "most" is neither a number nor a percentage from 1% to 100%`}},
		{"maxMoves: 0%", []string{`spec.maxMoves: "0%" is neither a number nor a percentage from 1% to 100%`}},
		{"maxMoves: '50'", []string{`spec.maxMoves: "50" is neither a number nor a percentage from 1% to 100%`}},
		{"overrides: [{patch: [{op: remove, path: /metadata/name}]}]", []string{"spec.overrides[0].patch[0].path: …"}},
		{"{maxMoves: 200%, clusters: [{expression: '('}], overrides: [{patch: [{op: replace, path: kind}]}]}", []string{
			"spec.clusters[0].expression: …",
			`spec.maxMoves: "200%" is neither a number nor a percentage from 1% to 100%`,
			"spec.overrides[0].patch[0].path: …",
		}},
	} {
		err := Validate(specOfText(t, c.spec))
		if err == nil {
			if c.want != nil {
				t.Errorf("%s: nothing is wrong, want %q", c.spec, c.want)
			}
			continue
		}
		rest := err.Error()
		for _, want := range c.want {
			start, isOpen := strings.CutSuffix(want, "…")
			at := strings.Index(rest, start)
			if at < 0 || !isOpen && strings.Split(rest[at:], "\n")[0] != want {
				t.Errorf("%s: the error is\n%v\nwant\n%s", c.spec, err, strings.Join(c.want, "\n"))
				break
			}
			rest = rest[at+len(start):]
		}
		if c.want == nil {
			t.Errorf("%s: %v", c.spec, err)
		}
	}
}

func TestFromAnnotations(t *testing.T) {
	for _, c := range []struct {
		annotations map[string]string
		want        string // a word a field, or the error
	}{
		{nil, "none"},
		{map[string]string{"hanse.io/replicas": "Nonsense"}, "none"}, // means nothing without clusters
		{map[string]string{"hanse.io/clusters": "east=2,west"}, "2 terms, , Fail, Delete"},
		{map[string]string{"hanse.io/clusters": "*", "hanse.io/replicas": "Duplicate"}, "1 terms, Duplicate, Fail, Delete"},
		{map[string]string{"hanse.io/clusters": "*", "hanse.io/replicas": "Divide"}, "1 terms, Divide, Fail, Delete"},
		{map[string]string{"hanse.io/clusters": "*", "hanse.io/on-conflict": "Adopt"}, "1 terms, , Adopt, Delete"},
		{map[string]string{"hanse.io/clusters": "*", "hanse.io/on-delete": "Orphan"}, "1 terms, , Fail, Orphan"},
		{map[string]string{"hanse.io/clusters": "east=2,,west"},
			`annotation hanse.io/clusters: at character 8 of "east=2,,west": …`},
		{map[string]string{"hanse.io/clusters": ""}, `annotation hanse.io/clusters: …`},
		{map[string]string{"hanse.io/clusters": "*", "hanse.io/replicas": "divide"},
			`annotation hanse.io/replicas: "divide" is not Divide or Duplicate`},
		{map[string]string{"hanse.io/clusters": "*", "hanse.io/on-conflict": "Sometimes"},
			`annotation hanse.io/on-conflict: "Sometimes" is not Fail, Adopt or Overwrite`},
		{map[string]string{"hanse.io/clusters": "*", "hanse.io/on-delete": "Keep"},
			`annotation hanse.io/on-delete: "Keep" is not Delete or Orphan`},
		{map[string]string{"hanse.io/clusters": "*", "hanse.io/on-immutable": "Recreate", "hanse.io/drift": "Report"},
			"1 terms, , Fail, Delete, Recreate, Report"},
		{map[string]string{"hanse.io/clusters": "*", "hanse.io/on-immutable": "Replace"},
			`annotation hanse.io/on-immutable: "Replace" is not Fail or Recreate`},
		{map[string]string{"hanse.io/clusters": "*", "hanse.io/drift": "Ignore"},
			`annotation hanse.io/drift: "Ignore" is not Repair or Report`},
	} {
		claim, err := FromAnnotations(c.annotations)
		got := "none"
		switch {
		case err != nil:
			got = err.Error()
		case claim != nil:
			words := []string{string(claim.Policy.Replicas), string(claim.OnConflict), string(claim.OnDelete)}
			if claim.OnImmutable != "" {
				words = append(words, string(claim.OnImmutable), string(claim.Drift))
			}
			got = string(rune('0'+len(claim.Policy.Terms))) + " terms, " + strings.Join(words, ", ")
			if !claim.Follow || claim.Source.Kind != "Annotation" || claim.Source.Terms == "" {
				t.Errorf("%v: %+v", c.annotations, claim)
			}
		}
		start, isOpen := strings.CutSuffix(c.want, "…")
		if got != c.want && !(isOpen && strings.HasPrefix(got, start)) {
			t.Errorf("%v: %s, want %s", c.annotations, got, c.want)
		}
	}
}
