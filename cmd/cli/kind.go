package cli

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kindNamed finds a kind by what people call it: kind, resource, singular or short name, with or without its group.
func kindNamed(mapper meta.RESTMapper, name string) (*meta.RESTMapping, error) {
	full, resource := schema.ParseResourceArg(name)
	if full != nil {
		if kind, err := mapper.KindFor(*full); err == nil {
			return mapper.RESTMapping(kind.GroupKind(), kind.Version)
		}
	}
	if kind, err := mapper.KindFor(resource.WithVersion("")); err == nil {
		return mapper.RESTMapping(kind.GroupKind(), kind.Version)
	} else if !meta.IsNoMatchError(err) {
		return nil, err
	}
	_, kind := schema.ParseKindArg(name)
	return mapper.RESTMapping(kind)
}
