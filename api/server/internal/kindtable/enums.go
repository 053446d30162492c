//go:build generate

package main

import (
	"encoding/json"
	"fmt"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kubernetes/pkg/generated/openapi"
)

// definitions are the schemas as an API server has them. The published files leave out of them which values a field may
// have, as alpha releases of that feature did.
var definitions = openapi.GetOpenAPIDefinitions(func(name string) spec.Ref {
	return spec.MustCreateRef("#/definitions/" + name)
})

// addEnums gives the schemas of a document, by name, the values that their fields may have, and the descriptions that
// explain them.
func addEnums(schemas map[string]json.RawMessage) error {
	for name, raw := range schemas {
		definition, ok := definitions[name]
		if !ok {
			continue
		}
		var schema map[string]any
		if err := json.Unmarshal(raw, &schema); err != nil {
			return fmt.Errorf("read the schema of %s: %w", name, err)
		}
		properties, _ := schema["properties"].(map[string]any)
		changed := false
		for field, of := range definition.Schema.Properties {
			property, ok := properties[field].(map[string]any)
			if !ok {
				continue
			}
			if len(of.Enum) > 0 {
				property["description"], property["enum"] = of.Description, of.Enum
				changed = true
			}
			if items, ok := property["items"].(map[string]any); ok && of.Items != nil && of.Items.Schema != nil &&
				len(of.Items.Schema.Enum) > 0 {
				property["description"], items["enum"] = of.Description, of.Items.Schema.Enum
				changed = true
			}
		}
		if !changed {
			continue
		}
		out, err := json.Marshal(schema)
		if err != nil {
			return fmt.Errorf("write the schema of %s: %w", name, err)
		}
		schemas[name] = out
	}
	return nil
}
