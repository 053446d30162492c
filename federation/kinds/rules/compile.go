package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
)

// Compile makes a lesson of a rule. The error names the field and, in an expression or path, the position.
func Compile(spec *v1alpha1.KindRuleSpec) (kinds.Lesson, error) {
	l, err := newLanguage()
	if err != nil {
		return kinds.Lesson{}, err
	}
	return l.lesson(spec)
}

// compilation is a rule on its way to a lesson: every problem is kept, the first is told.
type compilation struct {
	*language
	spec   *v1alpha1.KindRuleSpec
	lesson kinds.Lesson
	err    error
}

func (l *language) lesson(spec *v1alpha1.KindRuleSpec) (kinds.Lesson, error) {
	c := &compilation{language: l, spec: spec}
	c.lesson.Mode = kinds.Mode(spec.Mode)
	c.word("spec.mode", string(spec.Mode), "", "Divide", "Duplicate", "One", "Follows")
	for _, part := range []func(){
		c.kind, c.replicas, c.numbers, c.pods, c.dependencies, c.follows, c.retain, c.observed, c.health, c.status,
	} {
		if c.err == nil {
			part()
		}
		if c.err != nil {
			return kinds.Lesson{}, c.err
		}
	}
	return c.lesson, nil
}

// word is one of a list. The API checks it by its schema; who tries a rule without a hub is told here.
func (c *compilation) word(field, text string, known ...string) {
	if c.err == nil && !slices.Contains(known, text) {
		c.err = fmt.Errorf("%s: %q is none of %s", field, text,
			strings.Join(slices.DeleteFunc(known, func(w string) bool { return w == "" }), ", "))
	}
}

// kind: what Kubernetes itself means is not for anybody to say otherwise.
func (c *compilation) kind() {
	gk := schema.GroupKind{Group: c.spec.Group, Kind: c.spec.Kind}
	switch {
	case kinds.IsKnown(gk):
		c.err = fmt.Errorf("spec.kind: %s is known to the hub and cannot be taught", gk)
	case gk.Group == v1alpha1.GroupVersion.Group:
		c.err = errors.New("spec.group: the hub's own kinds never travel")
	case !strings.Contains(gk.Group, "."):
		c.err = fmt.Errorf("spec.group: %q is not the group of a custom kind, such as example.org", gk.Group)
	}
}

// compiled compiles an expression; nil when there is none or something is wrong already.
func (c *compilation) compiled(env *cel.Env, field, text string, wanted ...*cel.Type) *expression {
	if c.err != nil {
		return nil
	}
	e, err := compile(env, field, text, wanted...)
	c.err = err
	return e
}

// path parses a path; single: it may have no wildcards.
func (c *compilation) path(field, text string, single bool) kinds.Path {
	if c.err != nil || text == "" {
		return kinds.Path{}
	}
	p, err := kinds.ParsePath(text)
	if err != nil {
		c.err = fmt.Errorf("%s: %w", field, err)
		return kinds.Path{}
	}
	if _, isSingle := p.Fields(); single && !isSingle {
		c.err = fmt.Errorf("%s: %q leads to several fields, and must lead to one", field, text)
	}
	return p
}

// content is path for what is sent: it must lie outside status and what identifies the object.
func (c *compilation) content(field, text string, single bool) kinds.Path {
	p := c.path(field, text, single)
	trimmed := strings.TrimPrefix(text, ".")
	first, rest, _ := strings.Cut(trimmed, ".")
	isLabels := first == "metadata" && (strings.HasPrefix(rest, "labels") || strings.HasPrefix(rest, "annotations"))
	if c.err == nil && (first == "status" || first == "apiVersion" || first == "kind" || first == "metadata" && !isLabels) {
		c.err = fmt.Errorf("%s: %q is not a field that the hub sends", field, text)
	}
	return p
}

func onObject(obj map[string]any) map[string]any { return map[string]any{"object": obj} }

func (c *compilation) replicas() {
	r := c.spec.Replicas
	if r == nil {
		return
	}
	c.lesson.Unset = ptr.Deref(r.Default, 1)
	if r.Path == "" && (r.Get == "" || r.Set == "") {
		c.err = errors.New("spec.replicas: set either path, or get and set")
		return
	}
	c.lesson.ReplicasPath = c.content("spec.replicas.path", r.Path, true)
	if get := c.compiled(c.object, "spec.replicas.get", r.Get, cel.IntType); get != nil {
		c.lesson.Replicas = func(obj map[string]any) (int64, error) { return get.int(onObject(obj)) }
	}
	set := c.compiled(c.language.replicas, "spec.replicas.set", r.Set, cel.MapType(cel.StringType, cel.DynType))
	if set != nil {
		c.lesson.SetReplicas = func(obj map[string]any, n int64) (map[string]any, error) {
			value, err := set.eval(map[string]any{"object": obj, "replicas": n})
			if err != nil {
				return nil, err
			}
			patch, isMap := value.(map[string]any)
			if !isMap {
				return nil, fmt.Errorf("spec.replicas.set: gives %T, not a map", value)
			}
			return patch, nil
		}
	}
	if ready := c.compiled(c.object, "spec.replicas.ready", r.Ready, cel.IntType); ready != nil {
		c.lesson.Ready = func(obj map[string]any) (int64, error) { return ready.int(onObject(obj)) }
	}
}

func (c *compilation) numbers() {
	for i, n := range c.spec.Numbers {
		p := c.content(fmt.Sprintf("spec.numbers[%d].path", i), n.Path, true)
		c.lesson.Numbers = append(c.lesson.Numbers, kinds.LessonNumber{Path: p, Floor: n.Floor})
	}
}

func (c *compilation) pods() {
	for i, p := range c.spec.Pods {
		c.lesson.Pods = append(c.lesson.Pods, kinds.LessonPods{
			Path:  c.path(fmt.Sprintf("spec.pods[%d].path", i), p.Path, false),
			Count: c.path(fmt.Sprintf("spec.pods[%d].count", i), p.Count, false),
		})
	}
}

// needed is one DependencyRule.
type needed struct {
	kind     schema.GroupKind
	names    *expression
	cluster  bool
	optional bool
}

func (c *compilation) dependencies() {
	var all []needed
	for i, d := range c.spec.Dependencies {
		at := fmt.Sprintf("spec.dependencies[%d]", i)
		version, err := schema.ParseGroupVersion(cmp.Or(d.APIVersion, "v1"))
		if err != nil && c.err == nil {
			c.err = fmt.Errorf("%s.apiVersion: %w", at, err)
		}
		all = append(all, needed{
			kind:    schema.GroupKind{Group: version.Group, Kind: d.Kind},
			names:   c.compiled(c.object, at+".names", d.Names, cel.ListType(cel.StringType)),
			cluster: d.ClusterScoped, optional: d.Optional,
		})
	}
	if len(all) == 0 {
		return
	}
	c.lesson.Dependencies = func(obj map[string]any, namespace string) ([]kinds.Ref, error) {
		var refs []kinds.Ref
		for _, n := range all {
			found, err := n.refs(obj, namespace)
			if err != nil {
				return nil, err
			}
			refs = append(refs, found...)
		}
		return refs, nil
	}
}

func (n needed) refs(obj map[string]any, namespace string) ([]kinds.Ref, error) {
	value, err := n.names.eval(onObject(obj))
	if err != nil {
		return nil, err
	}
	if n.cluster {
		namespace = ""
	}
	list, isList := value.([]any)
	if !isList {
		return nil, fmt.Errorf("%s: gives %T, not a list", n.names.field, value)
	}
	var refs []kinds.Ref
	for _, element := range list {
		name, isText := element.(string)
		if !isText {
			return nil, fmt.Errorf("%s: gives a list with %T, not names", n.names.field, element)
		}
		if name != "" {
			refs = append(refs, kinds.Ref{GroupKind: n.kind, Namespace: namespace, Name: name, Optional: n.optional})
		}
	}
	return refs, nil
}

func (c *compilation) follows() {
	f := c.spec.Follows
	if f == nil {
		if c.spec.Mode == v1alpha1.FollowsKind {
			c.err = errors.New("spec.mode: Follows needs follows, which says what is followed")
		}
		return
	}
	c.lesson.Target = c.path("spec.follows.target", f.Target, true)
	version, err := schema.ParseGroupVersion(cmp.Or(f.APIVersion, "apps/v1"))
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("spec.follows.apiVersion: %w", err)
	}
	c.lesson.TargetKind = schema.GroupKind{Group: version.Group, Kind: cmp.Or(f.Kind, "Deployment")}
	if f.Scales != nil {
		c.lesson.Least = c.content("spec.follows.scales.min", f.Scales.Min, true)
		c.lesson.Most = c.content("spec.follows.scales.max", f.Scales.Max, true)
		c.lesson.LeastUnset, c.lesson.MostUnset = ptr.Deref(f.Scales.MinDefault, 1), ptr.Deref(f.Scales.MaxDefault, 1)
	}
}

func (c *compilation) retain() {
	for i, text := range c.spec.Retain {
		c.lesson.Retain = append(c.lesson.Retain, c.content(fmt.Sprintf("spec.retain[%d]", i), text, false))
	}
}

func (c *compilation) observed() {
	e := c.compiled(c.object, "spec.observedGeneration", c.spec.ObservedGeneration, cel.IntType)
	if e != nil {
		c.lesson.Observed = func(obj map[string]any) (int64, error) { return e.int(onObject(obj)) }
	}
}

// healthCase is one HealthRule.
type healthCase struct {
	when, message *expression
	is            kinds.Health
}

func (c *compilation) health() {
	var cases []healthCase
	for i, h := range c.spec.Health {
		at := fmt.Sprintf("spec.health[%d]", i)
		c.word(at+".is", h.Is, "Healthy", "Progressing", "Degraded", "Unknown")
		cases = append(cases, healthCase{
			when:    c.compiled(c.object, at+".when", h.When, cel.BoolType),
			message: c.compiled(c.object, at+".message", h.Message, cel.StringType),
			is:      kinds.Health(h.Is),
		})
	}
	if len(cases) > 0 {
		c.lesson.Health = func(obj map[string]any) (kinds.Health, string) { return judge(cases, obj) }
	}
}

// judge goes by the first case that holds.
func judge(cases []healthCase, obj map[string]any) (kinds.Health, string) {
	for _, h := range cases {
		if h.when != nil {
			holds, err := h.when.holds(onObject(obj))
			if err != nil {
				return kinds.Unknown, "the KindRule fails: " + err.Error()
			}
			if !holds {
				continue
			}
		}
		if h.message == nil {
			return h.is, ""
		}
		message, err := h.message.string(onObject(obj))
		if err != nil {
			return h.is, "the KindRule fails: " + err.Error()
		}
		return h.is, message
	}
	return kinds.Progressing, ""
}

func (c *compilation) status() {
	s := c.spec.Status
	if s == nil {
		return
	}
	c.lesson.Reflect = s.Reflect
	for i, a := range s.Aggregate {
		at := fmt.Sprintf("spec.status.aggregate[%d]", i)
		p := c.path(at+".field", a.Field, true)
		if a.Value == "" {
			c.word(at+".how", a.How, "Sum", "Min", "Max", "Earliest", "Latest", "All", "Any", "Worst", "Union", "First", "Drop")
		}
		fields, _ := p.Fields()
		if len(fields) > 1 && fields[0] == "status" {
			fields = fields[1:]
		}
		tally := kinds.Tally{Field: fields, How: kinds.How(a.How), Order: a.Order}
		e := c.compiled(c.whole, at+".value", a.Value, cel.DynType, cel.IntType, cel.StringType, cel.BoolType, cel.DoubleType,
			cel.ListType(cel.DynType), cel.MapType(cel.StringType, cel.DynType))
		if e != nil {
			tally.Value = func(w kinds.Whole) (any, error) { return e.eval(onWhole(w)) }
		}
		c.lesson.Tally = append(c.lesson.Tally, tally)
	}
}

// onWhole is what an aggregate's expression sees.
func onWhole(w kinds.Whole) map[string]any {
	members := make([]any, len(w.Members))
	for i, m := range w.Members {
		status := m.Status
		if status == nil {
			status = map[string]any{}
		}
		members[i] = map[string]any{
			"cluster": m.Cluster, "known": m.Known, "ready": m.Ready, "desired": m.Desired,
			"health": string(m.Health), "message": m.Message, "status": status,
		}
	}
	return map[string]any{
		"template": w.Template, "members": members, "observedGeneration": w.ObservedGeneration,
	}
}
