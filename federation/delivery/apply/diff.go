package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Change is one difference between what the member has and what it would have.
type Change struct {
	Op   Op
	Path string // as in server-side apply: .spec.template.spec.containers[name="app"].image
	// From and To are JSON, cut to a length a person reads. Both are empty for Secrets, and From is empty if the object
	// is not ours.
	From, To string
}

// Op is what happens to a field.
type Op string

const (
	Add    Op = "add"
	Remove Op = "remove"
	Alter  Op = "change"
)

func (c Change) String() string {
	switch {
	case c.Op == Add && c.To != "":
		return fmt.Sprintf("+ %s: %s", c.Path, c.To)
	case c.Op == Add:
		return "+ " + c.Path
	case c.Op == Remove && c.From != "":
		return fmt.Sprintf("- %s: %s", c.Path, c.From)
	case c.Op == Remove:
		return "- " + c.Path
	case c.From != "":
		return fmt.Sprintf("~ %s: %s -> %s", c.Path, c.From, c.To)
	case c.To != "":
		return fmt.Sprintf("~ %s: %s", c.Path, c.To)
	}
	return "~ " + c.Path
}

// Diff asks the member, by a server-side dry-run, what Apply would do and change. Nothing is written. The verdict is
// the one that Apply would give, with Reason DryRun. An object that would be created is shown as rendered, without the
// member's defaults.
func Diff(ctx context.Context, target Target, obj *unstructured.Unstructured, o Options) ([]Change, Result) {
	ref := RefOf(obj)
	client, err := clientFor(target, ref)
	if err != nil {
		return nil, classify(ref, err)
	}
	// The cached copy is stripped and cannot be compared.
	live, err := look(ctx, client, ref.Name)
	if err != nil {
		return nil, classify(ref, err)
	}
	o.Live, o.DryRun, o.isWhole = live, true, true
	result, before, after := applyObject(ctx, target, obj, o)
	if after == nil {
		return nil, result
	}
	if result.Verdict == Created {
		after = obj
	}
	changes := compare(before, after)
	switch {
	case obj.GetKind() == "Secret" && obj.GetAPIVersion() == "v1":
		hide(changes, true)
	case before != nil && !IsOurs(before, o.Hub):
		hide(changes, false)
	}
	return changes, result
}

// Differences are the paths of the fields that the object sets and the member's has not, or not so: the first few of
// them, and how many more there are. They tell no value.
func Differences(obj, live *unstructured.Unstructured) string {
	var paths []string
	for _, c := range compare(live, obj) {
		if c.Op != Remove {
			paths = append(paths, c.Path)
		}
	}
	return firstOf(paths)
}

// firstOf lists the first few texts and counts the others.
func firstOf(texts []string) string {
	const shown = 5
	if more := len(texts) - shown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:shown], ", "), more)
	}
	return strings.Join(texts, ", ")
}

// Summary puts changes on one line: the first few of them, and how many more there are.
func Summary(changes []Change) string {
	texts := make([]string, len(changes))
	for i, c := range changes {
		texts[i] = c.String()
	}
	return firstOf(texts)
}

// hide takes the values away: those of an object that is not ours are none of our business, a Secret's are nobody's.
func hide(changes []Change, both bool) {
	for i := range changes {
		changes[i].From = ""
		if both {
			changes[i].To = ""
		}
	}
}

// Nobody decides these by hand, or they are our own marks.
var unremarkable = map[string]bool{
	".status":                                        true,
	".metadata.managedFields":                        true,
	".metadata.resourceVersion":                      true,
	".metadata.generation":                           true,
	".metadata.uid":                                  true,
	".metadata.creationTimestamp":                    true,
	".metadata.labels." + LabelHub:                   true,
	".metadata.annotations." + AnnotationFields:      true,
	".metadata.annotations." + AnnotationEntries:     true,
	".metadata.annotations." + AnnotationTemplate:    true,
	".metadata.annotations." + AnnotationFingerprint: true,
	".metadata.annotations." + AnnotationAdopted:     true,
}

// compare lists what differs, sorted by path. before may be nil.
func compare(before, after *unstructured.Unstructured) []Change {
	var old map[string]any
	if before != nil {
		old = before.Object
	}
	var out []Change
	compareMaps(&out, "", old, after.Object)
	return out
}

func compareMaps(out *[]Change, path string, before, after map[string]any) {
	keys := map[string]bool{}
	for key := range before {
		keys[key] = true
	}
	for key := range after {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		from, had := before[key]
		to, has := after[key]
		compareValues(out, path+"."+key, from, to, had, has)
	}
}

func compareValues(out *[]Change, path string, from, to any, had, has bool) {
	if unremarkable[path] || (had && has && reflect.DeepEqual(from, to)) {
		return
	}
	fromMap, fromIsMap := from.(map[string]any)
	toMap, toIsMap := to.(map[string]any)
	if (fromIsMap || !had) && (toIsMap || !has) && len(fromMap)+len(toMap) > 0 {
		compareMaps(out, path, fromMap, toMap)
		return
	}
	fromList, fromIsList := from.([]any)
	toList, toIsList := to.([]any)
	if (fromIsList || !had) && (toIsList || !has) && len(fromList)+len(toList) > 0 {
		compareLists(out, path, fromList, toList)
		return
	}
	switch {
	case !had:
		*out = append(*out, Change{Op: Add, Path: path, To: short(to)})
	case !has:
		*out = append(*out, Change{Op: Remove, Path: path, From: short(from)})
	default:
		*out = append(*out, Change{Op: Alter, Path: path, From: short(from), To: short(to)})
	}
}

// compareLists pairs elements by their name where all have one of their own, otherwise by position.
func compareLists(out *[]Change, path string, before, after []any) {
	type pair struct {
		from, to any
		had, has bool
	}
	pairs := map[string]*pair{}
	var order []string
	at := func(key string) *pair {
		p, ok := pairs[key]
		if !ok {
			p = &pair{}
			pairs[key] = p
			order = append(order, key)
		}
		return p
	}
	byName := hasNames(before) && hasNames(after)
	for i, element := range before {
		p := at(selector(element, i, byName))
		p.from, p.had = element, true
	}
	for i, element := range after {
		p := at(selector(element, i, byName))
		p.to, p.has = element, true
	}
	for _, key := range order {
		p := pairs[key]
		compareValues(out, path+key, p.from, p.to, p.had, p.has)
	}
}

func selector(element any, i int, byName bool) string {
	if byName {
		return fmt.Sprintf("[name=%q]", element.(map[string]any)["name"])
	}
	return "[" + strconv.Itoa(i) + "]"
}

// hasNames reports whether every element is a map with a name of its own.
func hasNames(list []any) bool {
	seen := map[string]bool{}
	for _, element := range list {
		fields, _ := element.(map[string]any)
		name, ok := fields["name"].(string)
		if !ok || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

// maxShown keeps a value on a line.
const maxShown = 120

func short(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	if len(raw) > maxShown {
		return strings.ToValidUTF8(string(raw[:maxShown]), "") + "…"
	}
	return string(raw)
}
