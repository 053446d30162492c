package schedule

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
	"github.com/hanse-federation/hanse/placement/story"
)

// TestStories plays decisions: each step tells the Distribution that is stored then. Between two steps all replicas
// become ready and no copy is removed, unless a line says otherwise.
func TestStories(t *testing.T) {
	story.Play(t, "testdata/*.txt", func() story.World { return newWorld() })
}

// world is what the lines of a story change.
type world struct {
	f facts
	// ready replaces the ready replicas of some members; gone are members whose copy has been removed.
	ready map[string]int64
	gone  []string
	// isSilent: the status still speaks of an older decision.
	isSilent bool
}

func newWorld() *world {
	return &world{f: facts{now: time.Unix(1_000_000, 0).UTC(), joined: map[string]bool{}}, ready: map[string]int64{}}
}

// Tell plays one step and tells the Distribution that is stored then.
func (w *world) Tell(t *testing.T) string { return describe(w.decide(t)) }

// decide plays one step: what became of the last decision, the next one, and that it is stored.
func (w *world) decide(t *testing.T) outcome {
	t.Helper()
	w.settle()
	before := w.f
	before.previous = w.f.previous.DeepCopy()
	decided := decide(w.f)
	if diff := cmp.Diff(before.previous, w.f.previous); diff != "" {
		t.Errorf("decide changed what it was given:\n%s", diff)
	}
	if again := decide(w.f); !cmp.Equal(decided.spec, again.spec) {
		t.Errorf("the same facts give another decision:\n%s", cmp.Diff(decided.spec, again.spec))
	}
	checkNothingForgotten(t, w.f, decided.spec)
	w.store(decided.spec)
	return decided
}

// checkNothingForgotten: a member that may hold a copy is named until the copy, or the member, is gone.
func checkNothingForgotten(t *testing.T, f facts, spec *v1alpha1.DistributionSpec) {
	t.Helper()
	if f.previous == nil {
		return
	}
	named := map[string]bool{}
	if spec != nil {
		for _, c := range spec.Clusters {
			named[c.Name] = true
		}
		for _, name := range spec.Leaving {
			named[name] = true
		}
	}
	for _, c := range f.previous.Spec.Clusters {
		if f.joined[c.Name] && !named[c.Name] {
			t.Errorf("the copy in %s is forgotten", c.Name)
		}
	}
	for _, name := range f.previous.Spec.Leaving {
		if f.joined[name] && !named[name] && !isGone(f.previous, name) {
			t.Errorf("the copy in %s is forgotten while it leaves", name)
		}
	}
}

// settle writes what became of the last decision into its status.
func (w *world) settle() {
	d := w.f.previous
	if d == nil {
		return
	}
	if !w.isSilent {
		d.Status = v1alpha1.DistributionStatus{ObservedGeneration: d.Generation}
		for _, c := range d.Spec.Clusters {
			o := v1alpha1.ClusterOutcome{Name: c.Name, Verdict: "Unchanged", Ready: c.Replicas, Desired: c.Replicas}
			if n, told := w.ready[c.Name]; told {
				o.Ready, o.Desired = &n, &n
			}
			d.Status.Clusters = append(d.Status.Clusters, o)
		}
		for _, name := range d.Spec.Leaving {
			o := v1alpha1.ClusterOutcome{Name: name, Verdict: "Pending"}
			if slices.Contains(w.gone, name) {
				o.Verdict = "Deleted"
			}
			d.Status.Clusters = append(d.Status.Clusters, o)
		}
	}
	w.ready, w.gone, w.isSilent = map[string]int64{}, nil, false
}

// store is what the API server does.
func (w *world) store(spec *v1alpha1.DistributionSpec) {
	switch {
	case spec == nil:
		w.f.previous = nil
	case w.f.previous == nil:
		w.f.previous = &v1alpha1.Distribution{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Spec: *spec}
	case !cmp.Equal(w.f.previous.Spec, *spec):
		w.f.previous.Spec = *spec
		w.f.previous.Generation++
	}
}

// obey follows one line: a word, then names and key=value settings.
func (w *world) Obey(line string) error {
	words := strings.Fields(line)
	rest := strings.TrimSpace(strings.TrimPrefix(line, words[0]))
	switch words[0] {
	case "cluster":
		return w.cluster(words[1], words[2:])
	case "leaves": // the Cluster is being deleted
		w.drop(words[1])
		w.f.joined[words[1]] = true
	case "removed": // the Cluster is gone
		w.drop(words[1])
		delete(w.f.joined, words[1])
	case "template":
		return w.template(rest)
	case "deleted": // the template is being deleted
		now := metav1.NewTime(w.f.now)
		w.f.template = w.f.template.DeepCopy()
		w.f.template.SetDeletionTimestamp(&now)
	case "gone": // the template is no more
		w.f.template = nil
	case "placement":
		return w.placement(words[1:])
	case "unclaimed":
		w.f.claim = nil
	case "contested":
		w.f.claim.Contested = append(w.f.claim.Contested, v1alpha1.PlacementReference{Kind: words[1], Name: words[2]})
	case "trouble":
		if w.f.trouble = errors.New(rest); rest == "over" {
			w.f.trouble = nil
		}
	case "needed":
		return w.needed(words[1], words[2:])
	case "scaled": // by an autoscaler, from and to
		w.f.scaled = &bounds{}
		return counts(words[1:], func(name string, n int64) {
			switch name {
			case "from":
				w.f.scaled.least = n
			case "to":
				w.f.scaled.most = n
			}
		})
	case "unscaled":
		w.f.scaled = nil
	case "unneeded":
		w.f.followed = nil
	case "ready":
		return counts(words[1:], func(name string, n int64) { w.ready[name] = n })
	case "empty":
		w.gone = append(w.gone, words[1:]...)
	case "silent":
		w.isSilent = true
	case "after":
		passed, err := time.ParseDuration(words[1])
		w.f.now = w.f.now.Add(passed)
		return err
	default:
		return errors.New("unknown line")
	}
	return nil
}

func counts(words []string, set func(name string, n int64)) error {
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return err
		}
		set(name, n)
	}
	return nil
}

func (w *world) drop(name string) {
	w.f.clusters = slices.DeleteFunc(w.f.clusters, func(c placement.Cluster) bool { return c.Name == name })
}

// cluster joins a member, or changes it: "cluster east cordoned", "cluster east lost", "cluster east".
func (w *world) cluster(name string, words []string) error {
	w.drop(name)
	c := placement.Cluster{Name: name, Ready: true, Labels: map[string]string{labelName: name}}
	for _, word := range words {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "cordoned":
			c.Cordoned = true
		case "lost":
			c.Ready, c.Since = false, w.f.now
		case "free":
			pods, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return err
			}
			c.Free = []placement.Room{{Nodes: 1, Resources: placement.Resources{MilliCPU: 1 << 40, Memory: 1 << 60, Pods: pods}}}
		case "lacks":
			c.APIs = noAPI
		default:
			return errors.New("unknown setting " + word)
		}
	}
	w.f.joined[name] = true
	w.f.clusters = append(w.f.clusters, c)
	slices.SortFunc(w.f.clusters, func(a, b placement.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// template is a manifest in one line of YAML.
func (w *world) template(manifest string) error {
	encoded, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		return err
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(encoded); err != nil {
		return err
	}
	obj.SetNamespace("shop")
	obj.SetUID("uid")
	w.f.template, w.f.ref = obj, template.RefOf(obj)
	w.f.rule = kinds.For(w.f.ref.GroupKind())
	return nil
}

// placement claims the template: "placement web clusters=east=2,west=1 replicas=Duplicate".
func (w *world) placement(words []string) error {
	name, settings := words[0], words[1:]
	spec := v1alpha1.PlacementSpec{Resources: []v1alpha1.ResourceSelector{{Kind: w.f.ref.Kind, Name: w.f.ref.Name}}}
	spec.OnConflict, spec.OnDelete = v1alpha1.ConflictFail, v1alpha1.DeleteCopies
	for _, setting := range settings {
		switch key, value, _ := strings.Cut(setting, "="); key {
		case "clusters":
			for _, term := range strings.Split(value, ",") {
				cluster, weight, _ := strings.Cut(term, "=")
				n, err := strconv.ParseInt(weight, 10, 64)
				if err != nil {
					return err
				}
				spec.Clusters = append(spec.Clusters, v1alpha1.ClusterTerm{Name: cluster, Weight: &n})
			}
		case "replicas":
			spec.Replicas = v1alpha1.ReplicasMode(value)
		case "rebalance":
			spec.Rebalance = value
		case "overflow":
			spec.Overflow = value
		case "dependencies":
			spec.Dependencies = value
		case "paused":
			spec.Paused = true
		case "reports":
			spec.ReportOnly = true
		case "orphan":
			spec.OnDelete = v1alpha1.OrphanCopies
		default:
			return errors.New("unknown setting " + setting)
		}
	}
	ix := match.NewIndex(nil)
	p := &v1alpha1.Placement{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: spec}
	if err := ix.SetPlacement(p); err != nil {
		return err
	}
	claimed, _ := ix.Get(match.Key{Namespace: "shop", Name: name})
	w.f.claim = &claimed
	return nil
}

// needed adds the Distribution of something that the template follows: "needed Deployment/web east=4 west=2"; a member
// without a number has no replicas to count.
func (w *world) needed(by string, words []string) error {
	kind, name, _ := strings.Cut(by, "/")
	d := &v1alpha1.Distribution{}
	d.Name = by
	d.Spec.Template = v1alpha1.TemplateReference{Kind: kind, Name: name}
	for _, word := range words {
		if word == "autoscaled" {
			d.Spec.Autoscaled = true
			continue
		}
		if all, isAll := strings.CutPrefix(word, "of="); isAll {
			n, err := strconv.ParseInt(all, 10, 64)
			if err != nil {
				return err
			}
			d.Spec.Replicas = &n
			continue
		}
		cluster, replicas, counted := strings.Cut(word, "=")
		replicas, ideal, _ := strings.Cut(replicas, ":")
		c := v1alpha1.DistributionCluster{Name: cluster, Ideal: ideal}
		if counted {
			n, err := strconv.ParseInt(replicas, 10, 64)
			if err != nil {
				return err
			}
			c.Replicas = ptr.To(n)
		}
		d.Spec.Clusters = append(d.Spec.Clusters, c)
	}
	w.f.followed = append(w.f.followed, d)
	return nil
}

// describe tells a decision for people.
func describe(decided outcome) string {
	spec := decided.spec
	if spec == nil {
		return "nothing\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s by %s", spec.Template.Kind, spec.Template.Name, spec.Placement.Kind)
	if spec.Placement.Name != "" {
		b.WriteString(" " + spec.Placement.Name)
	}
	if spec.Replicas != nil {
		fmt.Fprintf(&b, ", %d replicas", *spec.Replicas)
	}
	if spec.Paused {
		b.WriteString(", paused")
	}
	if spec.ReportOnly {
		b.WriteString(", only reported")
	}
	if spec.OnDelete == v1alpha1.OrphanCopies {
		b.WriteString(", orphans copies")
	}
	b.WriteString("\n")
	for _, c := range spec.Clusters {
		b.WriteString("  " + c.Name)
		if c.Replicas != nil {
			fmt.Fprintf(&b, " %d", *c.Replicas)
		}
		if c.OrdinalStart != nil {
			fmt.Fprintf(&b, " (pods %d to %d)", *c.OrdinalStart, *c.OrdinalStart+*c.OrdinalWidth-1)
		}
		for _, key := range slices.Sorted(maps.Keys(c.Numbers)) {
			fmt.Fprintf(&b, " %s=%d", strings.TrimPrefix(key, "spec."), c.Numbers[key])
		}
		b.WriteString(": " + c.Reason + "\n")
	}
	tell := func(what string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(&b, "  %s: %s\n", what, strings.Join(names, ", "))
		}
	}
	for _, r := range spec.Rejected {
		fmt.Fprintf(&b, "  not %s: %s\n", r.Name, r.Reason)
	}
	tell("leaving", spec.Leaving)
	tell("away", spec.Away)
	if spec.Unplaced > 0 {
		fmt.Fprintf(&b, "  unplaced %d: %s\n", spec.Unplaced, spec.UnplacedReason)
	}
	if spec.Surge > 0 {
		fmt.Fprintf(&b, "  surge %d\n", spec.Surge)
	}
	if spec.Moving {
		b.WriteString("  moving\n")
	}
	tell("brings", spec.FollowedBy)
	for _, note := range spec.Notes {
		b.WriteString("  note: " + note + "\n")
	}
	if decided.recheck > 0 {
		fmt.Fprintf(&b, "  looks again after %s\n", decided.recheck)
	}
	return b.String()
}
