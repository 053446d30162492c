package override

import (
	"fmt"
	"regexp"
	"strings"
)

// marker is what begins a reference to a member's facts; "$" before it makes it plain text.
const marker = "${cluster."

// labelReference is labels['key'] or labels["key"].
var labelReference = regexp.MustCompile(`^labels\[(?:'([^'\]]+)'|"([^"\]]+)")\]$`)

// substitute replaces every reference in a text.
func substitute(text string, facts ClusterFacts) (string, error) {
	return replaceReferences(text, func(reference string) (string, error) { return lookUp(reference, facts) })
}

// checkReferences tells whether all references of a text are well-formed; whether a member has them is seen later.
func checkReferences(text string) error {
	_, err := replaceReferences(text, func(reference string) (string, error) {
		return "", checkReference(reference)
	})
	return err
}

func hasReference(text string) bool { return strings.Contains(text, marker) }

func replaceReferences(text string, value func(reference string) (string, error)) (string, error) {
	var out strings.Builder
	for {
		start := strings.Index(text, marker)
		if start < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		if start > 0 && text[start-1] == '$' {
			out.WriteString(text[:start-1])
			out.WriteString(marker)
			text = text[start+len(marker):]
			continue
		}
		end := strings.IndexByte(text[start:], '}')
		if end < 0 {
			return "", fmt.Errorf("%q has no closing brace", text[start:])
		}
		replacement, err := value(text[start+len(marker) : start+end])
		if err != nil {
			return "", err
		}
		out.WriteString(text[:start])
		out.WriteString(replacement)
		text = text[start+end+1:]
	}
}

func lookUp(reference string, facts ClusterFacts) (string, error) {
	var value string
	switch reference {
	case "name":
		value = facts.Name
	case "region":
		value = facts.Region
	case "provider":
		value = facts.Provider
	case "zone":
		if len(facts.Zones) > 0 {
			value = facts.Zones[0]
		}
	default:
		if err := checkReference(reference); err != nil {
			return "", err
		}
		key := labelKey(reference)
		value, has := facts.Labels[key]
		if !has {
			return "", fmt.Errorf("cluster %s has no label %q", facts.Name, key)
		}
		return value, nil
	}
	if value == "" {
		return "", fmt.Errorf("cluster %s has no %s", facts.Name, reference)
	}
	return value, nil
}

func checkReference(reference string) error {
	switch reference {
	case "name", "region", "provider", "zone":
		return nil
	}
	if labelKey(reference) == "" {
		return fmt.Errorf("%s%s} is not known: use name, region, zone, provider or labels['key']", marker, reference)
	}
	return nil
}

func labelKey(reference string) string {
	parts := labelReference.FindStringSubmatch(reference)
	if parts == nil {
		return ""
	}
	return parts[1] + parts[2]
}

// substituteAll returns a copy of a JSON value in which every string value is substituted; keys are not.
func substituteAll(value any, facts ClusterFacts) (any, error) {
	return mapStrings(value, "", func(_, text string) (string, error) { return substitute(text, facts) })
}

// mapStrings copies a JSON value through a function of every string in it and the JSON pointer to it.
func mapStrings(value any, path string, change func(path, text string) (string, error)) (any, error) {
	switch v := value.(type) {
	case string:
		changed, err := change(path, v)
		if err != nil && path != "" {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return changed, err
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range keys(v) {
			changed, err := mapStrings(v[key], path+"/"+escapePointer(key), change)
			if err != nil {
				return nil, err
			}
			out[key] = changed
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			changed, err := mapStrings(element, fmt.Sprintf("%s/%d", path, i), change)
			if err != nil {
				return nil, err
			}
			out[i] = changed
		}
		return out, nil
	default:
		return v, nil
	}
}
