package collect

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/results"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/placement/story"
)

// TestStories plays what is reported: each step tells the status that is stored then.
func TestStories(t *testing.T) {
	story.Play(t, "testdata/report.txt", func() story.World { return newWorld() })
}

// world is what the lines of a story change.
type world struct {
	v   view
	now time.Time
	// members that were told of, whether the decision names them or not.
	members map[string]*memberView
}

func newWorld() *world {
	return &world{
		v:       view{distribution: &v1alpha1.Distribution{}},
		now:     time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
		members: map[string]*memberView{},
	}
}

func (w *world) view() view {
	v := w.v
	v.members = nil
	add := func(name string, isLeaving bool) {
		m := *w.member(name)
		m.name, m.isLeaving, m.previous = name, isLeaving, outcomeOf(v.distribution, name)
		v.members = append(v.members, m)
	}
	for _, c := range v.distribution.Spec.Clusters {
		add(c.Name, false)
	}
	for _, name := range v.distribution.Spec.Leaving {
		add(name, true)
	}
	return v
}

func (w *world) member(name string) *memberView {
	if w.members[name] == nil {
		w.members[name] = &memberView{}
	}
	return w.members[name]
}

// report tells what is stored now, and stores it.
func (w *world) Tell(t *testing.T) string {
	t.Helper()
	v := w.view()
	status := distributionStatus(v, w.now)
	if again := distributionStatus(v, w.now.Add(time.Hour)); !gocmp.Equal(status.Clusters, again.Clusters) {
		t.Errorf("what is known changes with time alone:\n%s", gocmp.Diff(status.Clusters, again.Clusters))
	}
	told := describe(status)
	if sum := v.rule.Aggregate(v.template, v.statuses(), w.now); sum["replicas"] != nil || sum["readyReplicas"] != nil {
		replicas, ready := orZero(sum["replicas"]), orZero(sum["readyReplicas"])
		told += fmt.Sprintf("  the template says: %v replicas, %v ready\n", replicas, ready)
	}
	if v.isUnderWay() {
		told += "  under way\n"
	}
	w.v.distribution.Status = status
	if again := distributionStatus(w.view(), w.now); !gocmp.Equal(status, again) {
		t.Errorf("the same facts give another status:\n%s", gocmp.Diff(status, again))
	}
	w.restarted(t)
	return told
}

// restarted looks at what a hub makes of the stored status that has just been started, and has seen no member yet: it
// must say the same of the template.
func (w *world) restarted(t *testing.T) {
	t.Helper()
	before, after := w.view(), w.view()
	for i := range after.members {
		m := &after.members[i]
		m.isSeen, m.live, m.state, m.entry.Generation = false, nil, member.State{LastSeen: m.state.LastSeen}, 0
	}
	want := before.rule.Aggregate(before.template, before.statuses(), w.now)
	got := after.rule.Aggregate(after.template, after.statuses(), w.now)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("a hub that has just been started says of the template (-before +after):\n%s", diff)
	}
}

func orZero(v any) any {
	if v == nil {
		return 0
	}
	return v
}

// obey follows one line.
func (w *world) Obey(line string) error {
	words := strings.Fields(line)
	rest := strings.TrimSpace(strings.TrimPrefix(line, words[0]))
	switch words[0] {
	case "template":
		return w.template(rest)
	case "decided":
		return w.decided(words[1:])
	case "unplaced":
		w.v.distribution.Spec.Unplaced = 3
		w.v.distribution.Spec.UnplacedReason = rest
	case "note":
		w.v.distribution.Spec.Notes = append(w.v.distribution.Spec.Notes, rest)
	case "applied": // member, verdict, reason, message
		w.applied(words[1], append(words[2:], "", ""))
	case "state": // member, phase, reason, message
		words = append(words, "", "")
		m := w.member(words[1])
		m.state.Phase, m.state.Reason = member.Phase(words[2]), member.Reason(words[3])
		m.state.Message = strings.TrimSpace(strings.Join(words[4:], " "))
		if m.state.IsReady() {
			m.state.LastSeen = w.now
		} else {
			m.isSeen = false
		}
	case "live":
		return w.live(words[1], strings.TrimSpace(strings.TrimPrefix(rest, words[1])))
	case "started": // the hub was started again: the results were loaded, nothing has been seen yet
		for _, m := range w.members {
			*m = memberView{entry: m.entry, hasEntry: m.hasEntry}
		}
	case "after":
		passed, err := time.ParseDuration(words[1])
		w.now = w.now.Add(passed)
		return err
	default:
		return errors.New("unknown line")
	}
	return nil
}

func (w *world) template(manifest string) error {
	obj, err := parsed(manifest)
	if err != nil {
		return err
	}
	obj.SetNamespace("shop")
	w.v.template, w.v.ref = obj, template.RefOf(obj)
	w.v.rule = kinds.For(w.v.ref.GroupKind())
	return nil
}

func parsed(manifest string) (*unstructured.Unstructured, error) {
	encoded, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		return nil, err
	}
	obj := &unstructured.Unstructured{}
	return obj, obj.UnmarshalJSON(encoded)
}

// decided is a new decision: "decided east=4 west leaving=north".
func (w *world) decided(words []string) error {
	d := w.v.distribution
	d.Generation++
	d.Spec = v1alpha1.DistributionSpec{}
	total, divided := int64(0), false
	for _, word := range words {
		name, value, counts := strings.Cut(word, "=")
		if name == "leaving" {
			d.Spec.Leaving = append(d.Spec.Leaving, value)
			continue
		}
		c := v1alpha1.DistributionCluster{Name: name}
		if counts {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return err
			}
			c.Replicas, total, divided = &n, total+n, true
		}
		d.Spec.Clusters = append(d.Spec.Clusters, c)
	}
	if divided {
		d.Spec.Replicas = &total
	}
	return nil
}

func (w *world) applied(name string, words []string) {
	m := w.member(name)
	m.hasEntry = true
	m.entry = results.Entry{
		Verdict: v1alpha1.Verdict(words[0]), Reason: words[1], Message: strings.TrimSpace(strings.Join(words[2:], " ")),
		Decision: w.v.distribution.Generation, TemplateGeneration: w.v.template.GetGeneration(),
	}
}

// live is what the member's cache holds: "none", or the status of the object there.
func (w *world) live(name, status string) error {
	m := w.member(name)
	m.isSeen, m.live = true, nil
	m.state = member.State{Phase: member.Ready, LastSeen: w.now}
	if status == "none" {
		return nil
	}
	obj, err := parsed("{apiVersion: v1, kind: X, " + strings.TrimPrefix(status, "{"))
	if err != nil {
		return err
	}
	m.live = w.v.template.DeepCopy()
	m.live.SetGeneration(max(1, obj.GetGeneration()))
	for _, part := range []string{"spec", "status"} {
		if told, ok := obj.Object[part]; ok {
			m.live.Object[part] = told
		}
	}
	return nil
}

// describe tells a status for people.
func describe(s v1alpha1.DistributionStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", cmp.Or(s.Summary, "nowhere"))
	for _, o := range s.Clusters {
		fmt.Fprintf(&b, "  %s: %s", o.Name, o.Verdict)
		for _, part := range []string{o.Reason, o.Message} {
			if part != "" {
				b.WriteString(" " + part)
			}
		}
		if o.Ready != nil {
			fmt.Fprintf(&b, ", %d of %d ready", *o.Ready, *o.Desired)
		}
		if o.Health != "" {
			b.WriteString(", " + o.Health)
		}
		if o.HealthMessage != "" {
			b.WriteString(" (" + o.HealthMessage + ")")
		}
		if o.LastSeen != nil {
			b.WriteString(", last seen " + o.LastSeen.UTC().Format("15:04"))
		}
		b.WriteString("\n")
	}
	for _, c := range s.Conditions {
		if isDull(c) {
			continue
		}
		fmt.Fprintf(&b, "  %s is %s since %s: %s", c.Type, c.Status, c.LastTransitionTime.UTC().Format("15:04"), c.Reason)
		if c.Message != "" {
			b.WriteString(": " + c.Message)
		}
		b.WriteString("\n")
	}
	if s.Desired+s.Ready > 0 {
		fmt.Fprintf(&b, "  in all %d of %d ready\n", s.Ready, s.Desired)
	}
	return b.String()
}

// isDull conditions say only that all is well.
func isDull(c metav1.Condition) bool {
	if c.Type == v1alpha1.ConditionProgressing && c.Status == metav1.ConditionTrue {
		return true
	}
	return c.Status == metav1.ConditionTrue && c.Message == "" &&
		slices.Contains([]string{"Placed", "Applied", "Healthy"}, c.Reason)
}
