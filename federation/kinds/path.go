package kinds

import (
	"errors"
	"fmt"
	"strings"
)

// Path leads to a field of an object, or, by wildcards, to several. The zero Path leads nowhere.
type Path struct {
	text  string
	steps []string
	// isEvery tells, step by step, that it stands for every element.
	isEvery []bool
}

// errPath is what a path looks like.
var errPath = errors.New("a path looks like .spec.replicas, .spec.groups[*].size or .metadata.labels['a.b']")

// ParsePath reads a path: dotted fields with or without the dot in front, [*] for every element of a list or map, and
// ['key'] for a key of any letters. The error says at which character it cannot be read.
func ParsePath(text string) (Path, error) {
	p := Path{text: text}
	for rest := text; rest != ""; {
		at := len(text) - len(rest) + 1
		step, every, after, err := cutStep(rest)
		if err != nil {
			return Path{}, fmt.Errorf("at character %d of %q: %w", at, text, err)
		}
		p.steps, p.isEvery, rest = append(p.steps, step), append(p.isEvery, every), after
	}
	if len(p.steps) == 0 {
		return Path{}, fmt.Errorf("it is empty: %w", errPath)
	}
	return p, nil
}

// cutStep takes one step off the front of a path.
func cutStep(rest string) (step string, every bool, after string, err error) {
	switch {
	case strings.HasPrefix(rest, "[*]"):
		return "", true, rest[len("[*]"):], nil
	case strings.HasPrefix(rest, "['"):
		step, after, closed := strings.Cut(rest[len("['"):], "']")
		if !closed || step == "" {
			return "", false, "", errPath
		}
		return step, false, after, nil
	case strings.HasPrefix(rest, "["):
		return "", false, "", errPath
	}
	rest = strings.TrimPrefix(rest, ".")
	end := strings.IndexAny(rest, ".[")
	if end < 0 {
		end = len(rest)
	}
	step = rest[:end]
	if step == "" || strings.ContainsAny(step, " \t\n]'\"*$") {
		return "", false, "", errPath
	}
	return step, false, rest[end:], nil
}

// String is the path as it was written.
func (p Path) String() string { return p.text }

// Fields are the steps of a path without wildcards; false if it has one.
func (p Path) Fields() (fields []string, single bool) {
	for _, every := range p.isEvery {
		if every {
			return nil, false
		}
	}
	return p.steps, true
}

// IsZero reports whether it leads nowhere.
func (p Path) IsZero() bool { return len(p.steps) == 0 }

// all are the values that a path leads to, in the order of lists and of map keys. A value that is not there is nil
// where only the last field is missing, so that paths that differ in it run side by side.
func (p Path) all(obj map[string]any) []any {
	found := []any{obj}
	for i, step := range p.steps {
		var next []any
		for _, value := range found {
			switch {
			case p.isEvery[i]:
				next = append(next, elements(value)...)
			default:
				if m, isMap := value.(map[string]any); isMap {
					next = append(next, m[step])
				}
			}
		}
		found = next
	}
	return found
}

func elements(value any) []any {
	switch v := value.(type) {
	case []any:
		return v
	case map[string]any:
		all := make([]any, 0, len(v))
		for _, key := range sortedKeys(v) {
			all = append(all, v[key])
		}
		return all
	}
	return nil
}

// remove removes what the path leads to from an object, in place. Maps that become empty below the first level go, too,
// as with removeAt.
func (p Path) remove(obj map[string]any) { removeSteps(obj, p.steps, p.isEvery) }

func removeSteps(value any, steps []string, isEvery []bool) {
	if isEvery[0] {
		for _, element := range elements(value) {
			if len(steps) > 1 {
				removeSteps(element, steps[1:], isEvery[1:])
			}
		}
		return
	}
	m, isMap := value.(map[string]any)
	if !isMap {
		return
	}
	if len(steps) == 1 {
		delete(m, steps[0])
		return
	}
	child, isMap := m[steps[0]].(map[string]any)
	before := len(child)
	removeSteps(m[steps[0]], steps[1:], isEvery[1:])
	if isMap && before > 0 && len(child) == 0 && steps[0] != "spec" {
		delete(m, steps[0])
	}
}
