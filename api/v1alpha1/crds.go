package v1alpha1

import (
	"embed"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

//go:generate go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0 object paths=. crd:crdVersions=v1,allowDangerousTypes=true output:crd:dir=crds

// A kind that is never stored (Plan) is described by a definition, but not defined by it.
//
//go:generate mv crds/hanse.io_plans.yaml plan.yaml

var (
	//go:embed crds/*.yaml
	crdFiles embed.FS
	//go:embed plan.yaml
	planFile []byte
)

// PlanDefinition describes the fields of Plan, for the hub's OpenAPI document. It is never stored, or there would be
// Plans to list.
func PlanDefinition() (*apiextensionsv1.CustomResourceDefinition, error) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(planFile, crd); err != nil {
		return nil, fmt.Errorf("parsing the embedded definition of Plan: %w", err)
	}
	return crd, nil
}

// CustomResourceDefinitions returns the definitions of the kinds of this package, as the hub seeds them.
func CustomResourceDefinitions() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	entries, err := crdFiles.ReadDir("crds")
	if err != nil {
		return nil, fmt.Errorf("reading the embedded definitions: %w", err)
	}
	crds := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(entries))
	for _, entry := range entries {
		raw, err := crdFiles.ReadFile("crds/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("reading the embedded definition %s: %w", entry.Name(), err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(raw, crd); err != nil {
			return nil, fmt.Errorf("parsing the embedded definition %s: %w", entry.Name(), err)
		}
		crds = append(crds, crd)
	}
	return crds, nil
}
