package v1alpha1

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func definitions(t testing.TB) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	all, err := CustomResourceDefinitions()
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, crd := range all {
		byKind[crd.Spec.Names.Kind] = crd
	}
	return byKind
}

func schemaOf(crd *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.JSONSchemaProps {
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// answered are the kinds that are asked and never stored.
var answered = []string{"Plan"}

// Every kind of the scheme is served, and none besides.
func TestEveryKindHasADefinition(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	crds := definitions(t)
	for kind, goType := range scheme.KnownTypes(GroupVersion) {
		_, hasList := goType.FieldByName("Items")
		if hasList || goType.PkgPath() != reflect.TypeFor[Cluster]().PkgPath() || slices.Contains(answered, kind) {
			continue
		}
		crd := crds[kind]
		if crd == nil {
			t.Errorf("%s has no definition: run go generate", kind)
			continue
		}
		delete(crds, kind)
		if crd.Spec.Versions[0].Subresources.Status == nil {
			t.Errorf("%s has no status subresource", kind)
		}
		if !slices.Contains(crd.Spec.Names.Categories, "hanse") {
			t.Errorf("kubectl get hanse leaves out %s", kind)
		}
	}
	for kind := range crds {
		t.Errorf("the definition of %s has no Go type", kind)
	}
}

// A field that the schema does not know is dropped by the hub without a word.
func TestDefinitionsKnowEveryField(t *testing.T) {
	crds := definitions(t)
	for kind, of := range map[string]any{
		"Cluster": Cluster{}, "Placement": Placement{}, "ClusterPlacement": ClusterPlacement{},
		"Distribution": Distribution{}, "GlobalService": GlobalService{}, "Zone": Zone{},
	} {
		for _, part := range []string{"spec", "status"} {
			field, _ := reflect.TypeOf(of).FieldByName(strings.ToUpper(part[:1]) + part[1:])
			sameFields(t, kind+"."+part, field.Type, schemaOf(crds[kind]).Properties[part])
		}
	}
}

// sameFields compares a Go type with its schema, down to the types of others.
func sameFields(t *testing.T, path string, goType reflect.Type, schema apiextensionsv1.JSONSchemaProps) {
	for goType.Kind() == reflect.Pointer || goType.Kind() == reflect.Slice {
		if goType.Kind() == reflect.Slice && schema.Items != nil {
			schema = *schema.Items.Schema
		}
		goType = goType.Elem()
	}
	if goType.Kind() != reflect.Struct || goType.PkgPath() != reflect.TypeFor[Cluster]().PkgPath() {
		return
	}
	known := map[string]bool{}
	for i := range goType.NumField() {
		name, _, _ := strings.Cut(goType.Field(i).Tag.Get("json"), ",")
		known[name] = true
		property, ok := schema.Properties[name]
		if !ok {
			t.Errorf("the schema lacks %s.%s: run go generate", path, name)
			continue
		}
		if property.Description == "" {
			t.Errorf("kubectl explain says nothing of %s.%s", path, name)
		}
		sameFields(t, path+"."+name, goType.Field(i).Type, property)
	}
	for name := range schema.Properties {
		if !known[name] {
			t.Errorf("%s.%s is in the schema and not in the Go type: run go generate", path, name)
		}
	}
}

// What kubectl get shows must be there to be shown.
func TestPrinterColumnsExist(t *testing.T) {
	for kind, crd := range definitions(t) {
		for _, column := range crd.Spec.Versions[0].AdditionalPrinterColumns {
			schema := *schemaOf(crd)
			for _, name := range strings.FieldsFunc(column.JSONPath, func(r rune) bool { return r == '.' }) {
				name, _, isList := strings.Cut(name, "[")
				if name == "metadata" {
					break
				}
				property, ok := schema.Properties[name]
				if !ok {
					t.Errorf("%s: the column %s reads %s; there is no %s", kind, column.Name, column.JSONPath, name)
					break
				}
				if schema = property; isList {
					break
				}
			}
		}
	}
}

// TestNoDefaultsInLists: a client that applies a list sends the whole of it, so that an element which the server completed
// differs from what its user wrote for ever, and no second apply is "unchanged".
func TestNoDefaultsInLists(t *testing.T) {
	var walk func(path string, inList bool, s apiextensionsv1.JSONSchemaProps)
	walk = func(path string, inList bool, s apiextensionsv1.JSONSchemaProps) {
		if inList && s.Default != nil {
			t.Errorf("%s has the default %s inside of a list", path, s.Default.Raw)
		}
		for name, property := range s.Properties {
			walk(path+"."+name, inList, property)
		}
		if s.Items != nil && s.Items.Schema != nil {
			walk(path+"[]", true, *s.Items.Schema)
		}
		if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
			walk(path+".*", inList, *s.AdditionalProperties.Schema)
		}
	}
	for kind, crd := range definitions(t) {
		walk(kind, false, *schemaOf(crd))
	}
}
