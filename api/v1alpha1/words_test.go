package v1alpha1

import (
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// standard are fields whose description comes with Kubernetes' own types.
var standard = regexp.MustCompile(`^(apiVersion|kind|metadata)$|[sS]elector\.match|\.conditions\[\]|\.status\.clusters\[\]\.status`)

// unclear are turns of phrase that readers of kubectl explain stumble over.
var unclear = regexp.MustCompile(`(?i)\b(the wish|what became of|what becomes of|tells? (that|whether|who|what)|hears? of|made anew|for ever|is borne|ways to meet|fates? of|speaks of)\b`)

// TestDescriptions: kubectl explain shows whole sentences for every field.
func TestDescriptions(t *testing.T) {
	definitions, err := CustomResourceDefinitions()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := PlanDefinition()
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	for _, definition := range append(definitions, plan) {
		for _, version := range definition.Spec.Versions {
			fields += checkDescriptions(t, definition.Spec.Names.Kind, "", version.Schema.OpenAPIV3Schema)
		}
	}
	if fields < 200 {
		t.Errorf("%d fields were looked at", fields)
	}
}

func checkDescriptions(t *testing.T, kind, path string, s *apiextensionsv1.JSONSchemaProps) int {
	t.Helper()
	fields := 0
	for name, property := range s.Properties {
		at := strings.TrimPrefix(path+"."+name, ".")
		if standard.MatchString(at) {
			continue
		}
		fields++
		switch text := strings.TrimSpace(property.Description); {
		case text == "":
			t.Errorf("%s.%s has no description", kind, at)
		case !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, ".\"") && !strings.HasSuffix(text, ".)"):
			t.Errorf("%s.%s does not end with a full stop: %q", kind, at, text)
		case strings.ToUpper(text[:1]) != text[:1]:
			t.Errorf("%s.%s does not begin with a capital letter: %q", kind, at, text)
		case len(text) < 8 || len(text) > 1200:
			t.Errorf("%s.%s is described in %d characters", kind, at, len(text))
		case unclear.MatchString(text):
			t.Errorf("%s.%s: %q is no plain English: %q", kind, at, unclear.FindString(text), text)
		}
		fields += checkDescriptions(t, kind, at, &property)
	}
	if s.Items != nil && s.Items.Schema != nil {
		fields += checkDescriptions(t, kind, path+"[]", s.Items.Schema)
	}
	return fields
}
