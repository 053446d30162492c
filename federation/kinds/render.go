package kinds

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Render makes the object for one member: without what belongs to the hub or to the member (see the package doc),
// and with the member's share set. The template is not changed.
func (r Rule) Render(template *unstructured.Unstructured, share Share) (*unstructured.Unstructured, error) {
	out := strip(template.Object)
	for _, path := range r.allocated {
		removeAt(out, path...)
	}
	if r.lesson != nil {
		for _, path := range r.lesson.Retain {
			path.remove(out)
		}
	}
	if r.clean != nil {
		r.clean(out)
	}
	if r.halt != nil {
		r.halt(template.Object, out)
	}
	if err := r.setShare(out, share); err != nil {
		return nil, fmt.Errorf("render %s %s for cluster %s: %w",
			template.GetKind(), template.GetName(), share.Cluster, err)
	}
	return &unstructured.Unstructured{Object: out}, nil
}

func (r Rule) setShare(obj map[string]any, share Share) error {
	// The numbers are read before the replicas are set: some fields default to the replica count.
	if r.numbers != nil {
		for _, number := range r.numbers(obj) {
			part, given := share.Numbers[number.Key]
			if !given {
				continue
			}
			if err := number.set(obj, max(part, number.Floor)); err != nil {
				return err
			}
		}
	}
	switch {
	case !r.hasReplicas():
	case share.Autoscaled && len(r.replicas) > 0:
		removeAt(obj, r.replicas...)
	case share.Replicas != nil:
		if err := r.setReplicas(obj, *share.Replicas); err != nil {
			return err
		}
	}
	if r.fit != nil {
		return r.fit(obj, share)
	}
	return nil
}

// strip copies what a user says in an object and leaves what a server adds. Metadata is a list of what is kept, not
// of what is dropped: what a future server adds there is not the user's either.
func strip(template map[string]any) map[string]any {
	out := make(map[string]any, len(template))
	for key, value := range template {
		if key != "status" && key != "metadata" {
			out[key] = copied(value)
		}
	}
	metadata := make(map[string]any, 4)
	for _, key := range []string{"name", "namespace"} {
		if s := stringAt(template, "metadata", key); s != "" {
			metadata[key] = s
		}
	}
	for _, key := range []string{"labels", "annotations"} {
		if kept := usersOwn(mapAt(template, "metadata", key)); len(kept) > 0 {
			metadata[key] = kept
		}
	}
	out["metadata"] = metadata
	removeNullTimestamps(out)
	return out
}

// toolAnnotations were written by a client or controller about the copy on the hub.
var toolAnnotations = map[string]bool{
	"kubectl.kubernetes.io/last-applied-configuration": true,
	"deployment.kubernetes.io/revision":                true,
	"deployment.kubernetes.io/desired-replicas":        true,
	"deployment.kubernetes.io/max-replicas":            true,
	"deprecated.daemonset.template.generation":         true,
}

func usersOwn(entries map[string]any) map[string]any {
	kept := make(map[string]any, len(entries))
	for key, value := range entries {
		if !toolAnnotations[key] && !strings.HasPrefix(key, v1alpha1.Prefix) {
			kept[key] = value
		}
	}
	return kept
}

// removeNullTimestamps removes `creationTimestamp: null`, which Go clients write into every embedded template and
// which server-side apply would make us the owner of.
func removeNullTimestamps(value any) {
	switch v := value.(type) {
	case map[string]any:
		if metadata := mapAt(v, "metadata"); metadata != nil {
			if stamp, set := metadata["creationTimestamp"]; set && stamp == nil {
				delete(metadata, "creationTimestamp")
			}
		}
		for _, child := range v {
			removeNullTimestamps(child)
		}
	case []any:
		for _, child := range v {
			removeNullTimestamps(child)
		}
	}
}
