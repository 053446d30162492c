package override

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// eachContainer calls change for the containers of that name, or for all, in every pod specification that the object's
// kind has. An object without containers has none to change; a container that is named must be there.
func eachContainer(obj target, name string, init bool, path *field.Path, change func(map[string]any) error) error {
	specs := obj.kind.PodSpecs(obj.Unstructured)
	lists := []string{"containers"}
	if init || name != "" {
		lists = []string{"initContainers", "containers"}
	}
	found := false
	for _, spec := range specs {
		for _, list := range lists {
			some, err := changeIn(spec[list], name, change)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			found = found || some
		}
	}
	if !found && name != "" && len(specs) > 0 {
		return fmt.Errorf("%s: there is no container %q in it (say in `resources` which objects the override is for)",
			path, name)
	}
	return nil
}

// changeIn calls change for the containers of that name in a list, or for all of it; found tells that there was one.
func changeIn(list any, name string, change func(map[string]any) error) (found bool, err error) {
	containers, _ := list.([]any)
	for _, element := range containers {
		container, _ := element.(map[string]any)
		own, _ := container["name"].(string)
		if container == nil || name != "" && own != name {
			continue
		}
		found = true
		if err := change(container); err != nil {
			return found, fmt.Errorf("container %s: %w", own, err)
		}
	}
	return found, nil
}

func applyCommand(obj target, rule *Rule, facts ClusterFacts, path *field.Path) error {
	return applyList(obj, "command", rule.Command, facts, path)
}

func applyArgs(obj target, rule *Rule, facts ClusterFacts, path *field.Path) error {
	return applyList(obj, "args", rule.Args, facts, path)
}

// applyList replaces a command or its arguments in the containers; init containers only when named.
func applyList(obj target, key string, o *v1alpha1.CommandOverride, facts ClusterFacts,
	path *field.Path) error {
	if o == nil {
		return nil
	}
	value := make([]any, len(o.Value))
	for i, text := range o.Value {
		changed, err := substitute(text, facts)
		if err != nil {
			return fmt.Errorf("%s: %w", path.Child("value").Index(i), err)
		}
		value[i] = changed
	}
	return eachContainer(obj, o.Container, false, path, func(container map[string]any) error {
		if len(value) == 0 {
			delete(container, key)
		} else {
			container[key] = slices.Clone(value)
		}
		return nil
	})
}

func applyEnv(obj target, rule *Rule, facts ClusterFacts, path *field.Path) error {
	for i, o := range rule.Env {
		value, err := substitute(o.Value, facts)
		if err != nil {
			return fmt.Errorf("%s: %w", path.Index(i).Child("value"), err)
		}
		err = eachContainer(obj, o.Container, false, path.Index(i), func(container map[string]any) error {
			setEnv(container, o.Name, value, o.Remove)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// setEnv sets a variable where it stands, since later variables may refer to it, or appends it.
func setEnv(container map[string]any, name, value string, remove bool) {
	env, _ := container["env"].([]any)
	at := slices.IndexFunc(env, func(element any) bool {
		variable, _ := element.(map[string]any)
		return variable != nil && variable["name"] == name
	})
	switch {
	case remove && at < 0:
		return
	case remove:
		env = slices.Delete(env, at, at+1)
	case at < 0:
		env = append(env, map[string]any{"name": name, "value": value})
	default:
		env[at] = map[string]any{"name": name, "value": value}
	}
	if len(env) == 0 {
		delete(container, "env")
		return
	}
	container["env"] = env
}
