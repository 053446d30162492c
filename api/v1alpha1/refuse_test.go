package v1alpha1

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	apiservervalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// refusal looks at an object as an API server does: defaults, schema, rules. It returns what is wrong, nil for nothing.
type refusal func(object map[string]any) field.ErrorList

func refusals(t testing.TB, crd *apiextensionsv1.CustomResourceDefinition) refusal {
	t.Helper()
	var internal apiextensions.CustomResourceValidation
	err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
		crd.Spec.Versions[0].Schema, &internal, nil)
	if err != nil {
		t.Fatal(err)
	}
	structural, err := structuralschema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	schema, _, err := apiservervalidation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	rules := cel.NewValidator(structural, true, celconfig.PerCallLimit)
	return func(object map[string]any) field.ErrorList {
		defaulting.Default(object, structural)
		problems := apiservervalidation.ValidateCustomResource(nil, object, schema)
		if len(problems) > 0 {
			return problems // rules may rely on the schema
		}
		problems, _ = rules.Validate(context.Background(), nil, structural, object, nil, celconfig.RuntimeCELCostBudget)
		return problems
	}
}

// An API server takes our definitions: the rules compile and cost no more than they may.
func TestDefinitionsAreValid(t *testing.T) {
	for kind, crd := range definitions(t) {
		var internal apiextensions.CustomResourceDefinition
		apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
		err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(
			crd, &internal, nil)
		if err != nil {
			t.Fatal(err)
		}
		internal.Status.StoredVersions = []string{GroupVersion.Version}
		for _, problem := range validation.ValidateCustomResourceDefinition(context.Background(), &internal) {
			t.Errorf("%s: %v", kind, problem)
		}
	}
}

var update = flag.Bool("update", false, "rewrite testdata/*.txt; commit only differences that you understand")

// testdata/refuse.txt: an object, and what the hub answers. "taken" stands for no objection.
func TestWhatIsRefused(t *testing.T) {
	const file = "testdata/refuse.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[string]refusal{}
	for kind, crd := range definitions(t) {
		byKind[kind] = refusals(t, crd)
	}
	stories := strings.Split(string(text), "\n## ")
	told := stories[:1]
	for _, story := range stories[1:] {
		title, rest, _ := strings.Cut(story, "\n")
		manifest, _, _ := strings.Cut(rest, "----\n")
		got := title + "\n" + manifest + "----\n" + answer(t, byKind, manifest) + "\n"
		told = append(told, got)
		t.Run(title, func(t *testing.T) {
			if diff := cmp.Diff(strings.TrimSpace(story), strings.TrimSpace(got)); diff != "" && !*update {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(told, "\n## ")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func answer(t *testing.T, byKind map[string]refusal, manifest string) string {
	t.Helper()
	encoded, err := yaml.YAMLToJSON([]byte("apiVersion: " + GroupVersion.String() + "\n" + manifest))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, manifest)
	}
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(encoded); err != nil {
		t.Fatalf("%v in:\n%s", err, manifest)
	}
	if object.GetName() == "" {
		object.SetName("example")
	}
	refuse := byKind[object.GetKind()]
	if refuse == nil {
		t.Fatalf("no kind %q", object.GetKind())
	}
	var told []string
	for _, problem := range refuse(object.Object) {
		told = append(told, problem.Error())
	}
	if len(told) == 0 {
		return "taken"
	}
	return strings.Join(told, "\n")
}
