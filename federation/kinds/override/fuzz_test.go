package override

import (
	"encoding/json"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
)

func TestParseImage(t *testing.T) {
	tests := map[string]image{
		"nginx":                        {repository: "nginx"},
		"nginx:1.29":                   {repository: "nginx", tag: "1.29"},
		"team/web:v1":                  {repository: "team/web", tag: "v1"},
		"ghcr.io/team/web":             {registry: "ghcr.io", repository: "team/web"},
		"localhost:5000/web":           {registry: "localhost:5000", repository: "web"},
		"localhost/web":                {registry: "localhost", repository: "web"},
		"r.example.org/a/b:t@sha256:f": {registry: "r.example.org", repository: "a/b", tag: "t", digest: "sha256:f"},
		"[2001:db8::1]:5000/web:v1":    {registry: "[2001:db8::1]:5000", repository: "web", tag: "v1"},
		"":                             {},
	}
	for text, want := range tests {
		if got := parseImage(text); got != want {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}

// Parts of the right form, put together and taken apart, are the same parts; any text at all is taken apart without
// a panic.
func FuzzImage(f *testing.F) {
	f.Add("ghcr.io", "team/web", "v1", "sha256:0123456789abcdef0123456789abcdef")
	f.Add("", "nginx", "", "")
	f.Add("localhost", "a", "b", "")
	f.Add("[2001:db8::1]:5000", "a/b/c", "", "x+y:0123456789abcdef0123456789abcdef")
	f.Fuzz(func(t *testing.T, registry, repository, tag, digest string) {
		parseImage(registry + repository + tag + digest)
		parts := image{registry, repository, tag, digest}
		isHost := strings.ContainsAny(registry, ".:") || registry == "localhost"
		if registry != "" && (!isHost || !registryForm.MatchString(registry) || strings.Contains(registry, "/")) ||
			!repositoryForm.MatchString(repository) ||
			tag != "" && !tagForm.MatchString(tag) || digest != "" && !digestForm.MatchString(digest) {
			return
		}
		first, _, hasSlash := strings.Cut(repository, "/")
		if registry == "" && hasSlash && (strings.Contains(first, ".") || first == "localhost") {
			return // reads as a registry, to a container runtime as well
		}
		if got := parseImage(parts.String()); got != parts {
			t.Errorf("%q is %+v, want %+v", parts.String(), got, parts)
		}
	})
}

// Substitution never panics, leaves text without references alone, and what Check accepts fails only for want of
// facts.
func FuzzSubstitute(f *testing.F) {
	for _, seed := range []string{"", "${cluster.name}", "$${cluster.name}", "${cluster.labels['a']}", "${cluster.", "${cluster.labels['']}",
		"${cluster.name}${cluster.zone}", "${HOME}", "$$${cluster.name}", `${cluster.labels["env"]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := substitute(text, east)
		check := checkReferences(text)
		if !hasReference(text) && (err != nil || got != text) {
			t.Errorf("%q without reference became %q, %v", text, got, err)
		}
		if check != nil && err == nil {
			t.Errorf("%q is refused (%v) and works: %q", text, check, got)
		}
		if check == nil && err != nil && !strings.Contains(err.Error(), "has no ") {
			t.Errorf("%q is accepted and fails: %v", text, err)
		}
	})
}

// Whatever operation Validate accepts, Apply neither panics nor makes another object.
func FuzzPatch(f *testing.F) {
	f.Add("replace", "/spec/replicas", "", "3")
	f.Add("add", "/spec/template/spec/containers/-", "", `{"name":"b"}`)
	f.Add("move", "/spec/x", "/spec/replicas", "")
	f.Add("copy", "/metadata/labels/a", "/metadata/name", "")
	f.Add("remove", "/metadata/labels", "", "")
	f.Add("add", "/spec/template/spec/containers/1e1", "", "null")
	f.Add("test", "", "", "{}")
	f.Fuzz(func(t *testing.T, op, path, from, value string) {
		operation := v1alpha1.PatchOperation{Op: op, Path: path, From: from}
		if value != "" {
			if !json.Valid([]byte(value)) {
				return
			}
			operation.Value = &apiextensionsv1.JSON{Raw: []byte(value)}
		}
		rules := []Rule{{Patch: []v1alpha1.PatchOperation{operation}}}
		if len(Validate(rules, field.NewPath("overrides"))) > 0 {
			return
		}
		before := object(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {a: b, hanse.io/hub: h}}
spec: {replicas: 2, template: {spec: {containers: [{name: web, image: web}]}}}`)
		after, err := Apply(before, kinds.Of(before), rules, east)
		if err != nil {
			return
		}
		if after.GetName() != "web" || after.GetNamespace() != "shop" || after.GetKind() != "Deployment" ||
			after.GetLabels()["hanse.io/hub"] != "h" {
			t.Errorf("%s %s %s %s made %v", op, path, from, value, after.Object)
		}
	})
}
