package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// ask reads a path of the hub.
func ask(t testing.TB, path string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, common.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+admin)
	resp, err := common.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// get reads a path of the hub as JSON.
func get(t testing.TB, path string, into any) {
	t.Helper()
	status, body := ask(t, path)
	if err := json.Unmarshal(body, into); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d, %v: %.200s", path, status, err, body)
	}
}

// schemaPart is what the tests look at in a schema.
type schemaPart struct {
	Description string                `json:"description"`
	Required    []string              `json:"required"`
	Enum        []string              `json:"enum"`
	Default     any                   `json:"default"`
	Properties  map[string]schemaPart `json:"properties"`
	Items       *schemaPart           `json:"items"`
}

func (s schemaPart) at(path ...string) schemaPart {
	for _, name := range path {
		if s.Items != nil {
			s = *s.Items
		}
		s = s.Properties[name]
	}
	return s
}

// TestOpenAPIOfCustomKinds: the v2 document has what upstream publishes of a CRD: required fields and allowed values,
// no defaults, and nothing of fields that may be null, which v2 has no word for.
func TestOpenAPIOfCustomKinds(t *testing.T) {
	const group = "pub.example.org"
	crd := widgets(t, group)
	text := `{"type": "object", "properties": {"spec": {"type": "object", "required": ["name"], "properties": {
		"name": {"type": "string", "description": "of it"},
		"mood": {"type": "string", "enum": ["Great", "Down"], "default": "Great"},
		"maybe": {"type": "string", "nullable": true},
		"parts": {"type": "array", "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}}}}}}`
	crd.Spec.Versions[0].Subresources, crd.Spec.Versions[0].AdditionalPrinterColumns = nil, nil
	crd.Spec.Versions[0].Schema.OpenAPIV3Schema = &apiextensionsv1.JSONSchemaProps{}
	if err := json.Unmarshal([]byte(text), crd.Spec.Versions[0].Schema.OpenAPIV3Schema); err != nil {
		t.Fatal(err)
	}
	createCRD(t, crd)
	var v2 struct {
		Definitions map[string]schemaPart
		Paths       map[string]any
	}
	get(t, "/openapi/v2", &v2)
	spec := v2.Definitions["org.example.pub.v1.Widget"].at("spec")
	if fmt.Sprint(spec.Required) != "[name]" || spec.at("name").Description != "of it" {
		t.Errorf("spec is %+v, want name required and described", spec)
	}
	if mood := spec.at("mood"); fmt.Sprint(mood.Enum) != "[Great Down]" || mood.Default != nil {
		t.Errorf("mood is %+v, want its values and no default", mood)
	}
	if parts := spec.Properties["parts"]; parts.Items == nil || fmt.Sprint(parts.Items.Required) != "[id]" {
		t.Errorf("parts are %+v, want id required", parts)
	}
	var v3 struct {
		Components struct{ Schemas map[string]schemaPart }
	}
	get(t, "/openapi/v3/apis/"+group+"/v1", &v3)
	if mood := v3.Components.Schemas["org.example.pub.v1.Widget"].at("spec", "mood"); mood.Default != "Great" {
		t.Errorf("v3: mood is %+v, want its default", mood)
	}
}

// TestOpenAPIOfNativeKinds: fields have the values that they may have, and every path that is listed is served.
func TestOpenAPIOfNativeKinds(t *testing.T) {
	var v2 struct {
		Definitions map[string]schemaPart
		Paths       map[string]map[string]json.RawMessage
	}
	get(t, "/openapi/v2", &v2)
	claim := v2.Definitions["io.k8s.api.core.v1.PersistentVolumeClaimSpec"]
	if mode := claim.at("volumeMode"); fmt.Sprint(mode.Enum) != "[Block Filesystem]" ||
		!strings.Contains(mode.Description, "Possible enum values") {
		t.Errorf("volumeMode is %+v, want its values", mode)
	}
	if modes := claim.Properties["accessModes"]; modes.Items == nil || len(modes.Items.Enum) != 4 {
		t.Errorf("accessModes are %+v, want the values of an element", modes)
	}
	if len(v2.Paths) < 300 {
		t.Errorf("%d paths are listed", len(v2.Paths))
	}
	for path, methods := range v2.Paths {
		if _, isRead := methods["get"]; !isRead || strings.Contains(path, "/watch/") {
			continue
		}
		path = strings.NewReplacer("{namespace}", "default", "{name}", "none", "{path}", "x").Replace(path)
		eventually(t, func() string { // a cache may still be filling
			status, body := ask(t, path)
			// An object that is not there has a name in the answer; a path that is not there has none.
			if status != http.StatusOK && !strings.Contains(string(body), `"none`) {
				return fmt.Sprintf("%s is listed, and answers %d: %.200s", path, status, body)
			}
			return ""
		})
	}
}
