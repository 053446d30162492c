package override

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Validate finds what can be known to be wrong before there is an object: for a refusal at write time. The errors
// name the field below path.
func Validate(rules []Rule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range rules {
		errs = append(errs, validateRule(&rules[i], path.Index(i))...)
	}
	return errs
}

func validateRule(rule *Rule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, term := range rule.Clusters {
		errs = append(errs, validateSelector(term.Selector, path.Child("clusters").Index(i).Child("selector"))...)
	}
	for i, term := range rule.Resources {
		errs = append(errs, validateSelector(term.Selector, path.Child("resources").Index(i).Child("selector"))...)
	}
	errs = append(errs, validateImage(rule.Image, path.Child("image"))...)
	errs = append(errs, validateList(rule.Command, path.Child("command"))...)
	errs = append(errs, validateList(rule.Args, path.Child("args"))...)
	errs = append(errs, validateEnv(rule.Env, path.Child("env"))...)
	errs = append(errs, validateEntries(rule.Labels, true, path.Child("labels"))...)
	errs = append(errs, validateEntries(rule.Annotations, false, path.Child("annotations"))...)
	if rule.Merge != nil {
		errs = append(errs, validateMerge(rule.Merge.Raw, path.Child("merge"))...)
	}
	for i, operation := range rule.Patch {
		errs = append(errs, validateOperation(operation, path.Child("patch").Index(i))...)
	}
	return errs
}

func validateSelector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	return metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)
}

func validateImage(o *v1alpha1.ImageOverride, path *field.Path) field.ErrorList {
	if o == nil {
		return nil
	}
	var errs field.ErrorList
	given := false
	for _, part := range imageParts(o) {
		given = given || part.value != ""
		if err := checkReferences(part.value); err != nil {
			errs = append(errs, field.Invalid(path.Child(part.name), part.value, err.Error()))
			continue
		}
		if part.value != "" && !hasReference(part.value) && !part.form.MatchString(part.value) {
			errs = append(errs, field.Invalid(path.Child(part.name), part.value,
				"is not the "+part.name+" of an image"))
		}
	}
	if !given {
		errs = append(errs, field.Required(path, "set registry, repository, tag or digest"))
	}
	return errs
}

func validateList(o *v1alpha1.CommandOverride, path *field.Path) field.ErrorList {
	if o == nil {
		return nil
	}
	var errs field.ErrorList
	for i, text := range o.Value {
		if err := checkReferences(text); err != nil {
			errs = append(errs, field.Invalid(path.Child("value").Index(i), text, err.Error()))
		}
	}
	return errs
}

func validateEnv(env []v1alpha1.EnvOverride, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, o := range env {
		for _, problem := range validation.IsRelaxedEnvVarName(o.Name) {
			errs = append(errs, field.Invalid(path.Index(i).Child("name"), o.Name, problem))
		}
		if err := checkReferences(o.Value); err != nil {
			errs = append(errs, field.Invalid(path.Index(i).Child("value"), o.Value, err.Error()))
		}
		if o.Remove && o.Value != "" {
			errs = append(errs, field.Invalid(path.Index(i).Child("value"), o.Value, "must be absent with remove"))
		}
	}
	return errs
}

func validateEntries(entries map[string]string, isLabel bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		value := entries[key]
		for _, problem := range validation.IsQualifiedName(key) {
			errs = append(errs, field.Invalid(path, key, problem))
		}
		if err := checkKey(key); err != nil {
			errs = append(errs, field.Forbidden(path.Key(key), err.Error()))
		}
		if err := checkReferences(value); err != nil {
			errs = append(errs, field.Invalid(path.Key(key), value, err.Error()))
			continue
		}
		if !isLabel || hasReference(value) {
			continue
		}
		for _, problem := range validation.IsValidLabelValue(value) {
			errs = append(errs, field.Invalid(path.Key(key), value, problem))
		}
	}
	return errs
}

func validateMerge(raw []byte, path *field.Path) field.ErrorList {
	patch, err := decodeMerge(raw)
	if err != nil {
		return field.ErrorList{field.Invalid(path, string(raw), err.Error())}
	}
	var errs field.ErrorList
	refuse := func(err error, at ...string) {
		if err != nil {
			errs = append(errs, field.Forbidden(path.Child(at[0], at[1:]...), err.Error()))
		}
	}
	for _, key := range keys(patch) {
		metadata, isMap := patch[key].(map[string]any)
		if key != "metadata" || !isMap {
			refuse(checkTokens([]string{key}), key)
			continue
		}
		for _, part := range keys(metadata) {
			refuse(checkMetadata([]string{part}), key, part)
			entries, _ := metadata[part].(map[string]any)
			for _, entry := range keys(entries) {
				refuse(checkKey(entry), key, part, entry)
			}
		}
	}
	if _, set := patch["$patch"]; set {
		errs = append(errs, field.Forbidden(path.Child("$patch"), "the whole object cannot be replaced or deleted"))
	}
	if _, err := mapStrings(patch, "", checkString); err != nil {
		errs = append(errs, field.Invalid(path, string(raw), err.Error()))
	}
	return errs
}

func checkString(_, text string) (string, error) { return text, checkReferences(text) }

// validateOperation checks one operation of a JSON patch: what it needs, and that it writes nothing forbidden. A
// move writes where it takes from; test and the source of a copy only read.
func validateOperation(operation v1alpha1.PatchOperation, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	writes, needsFrom, needsValue := true, false, false
	switch operation.Op {
	case "add", "replace":
		needsValue = true
	case "test":
		writes, needsValue = false, true
	case "remove":
	case "move", "copy":
		needsFrom = true
	default:
		return append(errs, field.NotSupported(path.Child("op"), operation.Op,
			[]string{"add", "remove", "replace", "move", "copy", "test"}))
	}
	if err := checkPointer(operation.Path); writes && err != nil {
		errs = append(errs, field.Forbidden(path.Child("path"), err.Error()))
	}
	if err := checkPointer(operation.From); operation.Op == "move" && err != nil {
		errs = append(errs, field.Forbidden(path.Child("from"), err.Error()))
	}
	if needsFrom != (operation.From != "") {
		errs = append(errs, field.Invalid(path.Child("from"), operation.From, "belongs to move and copy, and they need it"))
	}
	if needsValue && operation.Value == nil {
		errs = append(errs, field.Required(path.Child("value"), operation.Op+" needs a value"))
	}
	if operation.Value != nil {
		errs = append(errs, validateValue(operation, path)...)
	}
	return errs
}

func validateValue(operation v1alpha1.PatchOperation, path *field.Path) field.ErrorList {
	value, err := decode(operation.Value.Raw)
	if err == nil {
		_, err = mapStrings(value, "", checkString)
	}
	if err != nil {
		return field.ErrorList{field.Invalid(path.Child("value"), string(operation.Value.Raw), err.Error())}
	}
	if operation.Path != "/metadata/labels" && operation.Path != "/metadata/annotations" {
		return nil
	}
	entries, _ := value.(map[string]any)
	for _, key := range keys(entries) {
		if err := checkKey(key); err != nil {
			return field.ErrorList{field.Forbidden(path.Child("value").Key(key), err.Error())}
		}
	}
	return nil
}
