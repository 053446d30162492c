package kinds

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Lesson is what somebody teaches about a kind, in functions over an object's content: package rules makes them of
// a KindRule. A field that is not set leaves the generic behaviour. The functions must be pure and must not change
// or keep what they are given.
type Lesson struct {
	Mode Mode
	// ReplicasPath is where the divided number is, without wildcards, and Unset what it is when it is not there.
	ReplicasPath Path
	Unset        int64
	// Replicas and SetReplicas are for a number that is nowhere by itself. SetReplicas returns a merge patch.
	Replicas    func(obj map[string]any) (int64, error)
	SetReplicas func(obj map[string]any, replicas int64) (map[string]any, error)
	// Ready counts, in a member's object, the replicas that serve.
	Ready func(obj map[string]any) (int64, error)
	// Numbers that are divided as well, without wildcards.
	Numbers []LessonNumber
	// Pods are the pod specifications.
	Pods []LessonPods
	// Dependencies of the object.
	Dependencies func(obj map[string]any, namespace string) ([]Ref, error)
	// Target is where the reference to what the object follows is, and TargetKind its kind when it does not say.
	Target     Path
	TargetKind schema.GroupKind
	// Least and Most: the object owns the replica count of its target, between these.
	Least, Most Path
	// LeastUnset and MostUnset are the bounds when they are not there.
	LeastUnset, MostUnset int64
	// Retain are paths that belong to the member.
	Retain []Path
	// Observed is the generation that the member's controller has seen.
	Observed func(obj map[string]any) (int64, error)
	// Health judges a member's object.
	Health func(obj map[string]any) (Health, string)
	// Reflect names the fields of the status that are kept for each member.
	Reflect []string
	// Tally says how fields of the status add up.
	Tally []Tally
}

// LessonNumber is a number that is divided beside the replicas.
type LessonNumber struct {
	Path  Path
	Floor int64
}

// LessonPods are pod specifications in an object. Count, if it is not zero, runs beside Path.
type LessonPods struct{ Path, Count Path }

// Taught is the rule that a lesson makes: the generic one, with what is taught.
func Taught(l Lesson) Rule {
	r := Rule{lesson: &l, mode: l.Mode, status: l.Reflect, aggregate: aggregateTaught}
	if path, single := l.ReplicasPath.Fields(); single && len(path) > 0 {
		r.replicas = path
	}
	if l.Mode == "" && r.hasReplicas() {
		r.mode = Divide
	}
	if !l.Target.IsZero() {
		r.mode, r.follows, r.step = cmp.Or(l.Mode, Follows), l.follows, scalers
	}
	if len(l.Numbers) > 0 || !l.Most.IsZero() {
		r.numbers = l.numbers
	}
	if !l.Most.IsZero() {
		r.scales, r.bounds, r.fit = true, l.bounds, l.fit
	}
	if l.Dependencies != nil {
		r.refs = func(obj map[string]any, namespace string) []Ref {
			refs, _ := l.Dependencies(obj, namespace) // Check has said what is wrong
			return refs
		}
	}
	if l.Health != nil {
		r.health = l.judge
	}
	return r
}

// Check tells why a template cannot be understood by what was taught about its kind; nil for all other kinds.
func (r Rule) Check(template *unstructured.Unstructured) error {
	l := r.lesson
	if l == nil {
		return nil
	}
	var problems []error
	if l.Replicas != nil {
		if _, err := l.Replicas(template.Object); err != nil {
			problems = append(problems, err)
		}
	}
	if l.Dependencies != nil {
		if _, err := l.Dependencies(template.Object, template.GetNamespace()); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// IsTaught reports whether the rule was made by Taught.
func (r Rule) IsTaught() bool { return r.lesson != nil }

// HasReplicas reports whether objects of the kind have a number that a Divide splits.
func (r Rule) HasReplicas() bool { return r.hasReplicas() }

// NamesReplicas reports whether a template says how many replicas it has; one that does not has the kind's default.
func (r Rule) NamesReplicas(template *unstructured.Unstructured) bool {
	if len(r.replicas) == 0 {
		return r.hasReplicas()
	}
	_, named := at(template.Object, r.replicas...)
	return named
}

func (r Rule) hasReplicas() bool {
	return len(r.replicas) > 0 || r.lesson != nil && r.lesson.Replicas != nil
}

// replicasOf reads the divided number.
func (r Rule) replicasOf(obj map[string]any) int64 {
	switch {
	case r.lesson != nil && r.lesson.Replicas != nil:
		n, _ := r.lesson.Replicas(obj) // Check has said what is wrong
		return max(0, n)
	case r.lesson != nil && !r.lesson.ReplicasPath.IsZero():
		return max(0, intOr(obj, r.lesson.Unset, r.replicas...))
	}
	return max(0, intOr(obj, 1, r.replicas...))
}

// setReplicas writes the divided number.
func (r Rule) setReplicas(obj map[string]any, replicas int64) error {
	if r.lesson == nil || r.lesson.SetReplicas == nil {
		return setAt(obj, replicas, r.replicas...)
	}
	patch, err := r.lesson.SetReplicas(obj, replicas)
	if err != nil {
		return err
	}
	for key := range patch {
		if key == "metadata" || key == "status" || key == "apiVersion" || key == "kind" {
			return fmt.Errorf("replicas.set changes %s: it may change the object's content only", key)
		}
	}
	mergePatch(obj, patch)
	return nil
}

// mergePatch is RFC 7396, in place.
func mergePatch(obj, patch map[string]any) {
	for key, value := range patch {
		child, isMap := value.(map[string]any)
		switch {
		case value == nil:
			delete(obj, key)
		case isMap:
			into, exists := obj[key].(map[string]any)
			if !exists {
				into = map[string]any{}
				obj[key] = into
			}
			mergePatch(into, child)
		default:
			obj[key] = copied(value)
		}
	}
}

func (l *Lesson) numbers(obj map[string]any) []Number {
	var numbers []Number
	for _, n := range l.Numbers {
		path, _ := n.Path.Fields()
		numbers = append(numbers, wholeNumber(obj, n.Floor, path...)...)
	}
	if from, _ := l.Least.Fields(); len(from) > 0 {
		// Where the least is one when it is not said, none is likely refused.
		numbers = append(numbers, wholeNumber(obj, min(l.LeastUnset, 1), from...)...)
	}
	if to, _ := l.Most.Fields(); len(to) > 0 {
		numbers = append(numbers, wholeNumber(obj, 1, to...)...)
	}
	return numbers
}

func (l *Lesson) bounds(obj map[string]any) (least, most int64) {
	from, _ := l.Least.Fields()
	to, _ := l.Most.Fields()
	return intOr(obj, l.LeastUnset, from...), intOr(obj, l.MostUnset, to...)
}

// fit: rounding may put a member's least above its most.
func (l *Lesson) fit(obj map[string]any, _ Share) error {
	from, _ := l.Least.Fields()
	to, _ := l.Most.Fields()
	least, limited := intAt(obj, from...)
	most, set := intAt(obj, to...)
	if !limited || !set || least <= most {
		return nil
	}
	return setAt(obj, most, from...)
}

func (l *Lesson) follows(obj map[string]any, namespace string) (Target, bool) {
	path, _ := l.Target.Fields()
	ref := mapAt(obj, path...)
	name := stringAt(ref, "name")
	if name == "" {
		return Target{}, false
	}
	kind := l.TargetKind
	if version := stringAt(ref, "apiVersion"); version != "" {
		parsed, err := schema.ParseGroupVersion(version)
		if err != nil {
			return Target{}, false
		}
		kind.Group = parsed.Group
	}
	kind.Kind = cmp.Or(stringAt(ref, "kind"), kind.Kind)
	return Target{Ref: &Ref{GroupKind: kind, Namespace: namespace, Name: name}}, true
}

// judge says first what is true of every kind: a status that speaks of an older generation is no news.
func (l *Lesson) judge(obj map[string]any) (Health, string) {
	if observed, says := l.observed(obj); says && observed < intOr(obj, 0, "metadata", "generation") {
		return Progressing, "the controller has not seen the present generation yet"
	}
	return l.Health(obj)
}

// observed is the generation that the controller has seen; false when it does not tell.
func (l *Lesson) observed(obj map[string]any) (int64, bool) {
	if l.Observed != nil {
		n, err := l.Observed(obj)
		return n, err == nil
	}
	return observedOf(obj)
}

// observedOf reads status.observedGeneration, which some controllers write as text.
func observedOf(obj map[string]any) (int64, bool) {
	if n, says := intAt(obj, "status", "observedGeneration"); says {
		return n, true
	}
	n, err := strconv.ParseInt(stringAt(obj, "status", "observedGeneration"), 10, 64)
	return n, err == nil
}

// podSpecs are all pod specifications of an object, not copies, with how many of each there are.
func (r Rule) podSpecs(obj map[string]any) (specs []map[string]any, counts []int64) {
	if r.lesson == nil || len(r.lesson.Pods) == 0 {
		if spec := r.podSpecOf(obj); spec != nil {
			return []map[string]any{spec}, []int64{1}
		}
		return nil, nil
	}
	for _, pods := range r.lesson.Pods {
		found := pods.Path.all(obj)
		var beside []any
		if !pods.Count.IsZero() {
			beside = pods.Count.all(obj)
		}
		for i, value := range found {
			spec, isMap := value.(map[string]any)
			if !isMap || listAt(spec, "containers") == nil {
				continue
			}
			count := int64(1)
			if len(beside) == len(found) {
				count = intOr(map[string]any{"n": beside[i]}, 1, "n")
			}
			specs, counts = append(specs, spec), append(counts, max(0, count))
		}
	}
	return specs, counts
}

// CanFollow reports whether objects of the kind may follow others.
func (r Rule) CanFollow() bool { return r.follows != nil }
