// Package override changes an object for one member: it applies a placement's overrides to what kinds.Render made.
//
//	changed, err := override.Apply(object, kinds.Of(object), placement.Spec.Overrides, override.FactsOf(cluster))
//	errs := override.Validate(placement.Spec.Overrides, field.NewPath("spec", "overrides"))
//
// An override that is not for this member (clusters) or this object (resources) is skipped. The others are applied
// in their order, and within one override from the coarse to the fine: image, command, args, env, labels,
// annotations, merge, patch. Each sees what the one before it left.
//
// Every string value may name what is known of the member:
//
//	${cluster.name} ${cluster.region} ${cluster.zone} ${cluster.provider} ${cluster.labels['tier']}
//
// ${cluster.zone} is the first of the member's zones. "$${cluster.name}" is the text "${cluster.name}". Other ${…}
// are left to whom they are for (shells, Kubernetes uses $(…)). Keys of maps and paths are not substituted.
//
// # Guarantees
//
// Values in, values out; the input is never changed. An override cannot make another object of an object: its kind,
// name, namespace and all metadata but labels and annotations stay, and so do the labels and annotations under
// hanse.io/, by which the hub knows what it made. Validate refuses that, Apply refuses it again. Whatever Validate
// accepts, Apply can still fail on an object that does not have the path; the error names the override, the
// operation and the path.
//
// # Considerations
//
// What is asked of a member and is not known (a region that is not set, a label it does not have) is an error, not
// an empty string: "registry..example.org" would be pulled from at night, by somebody else.
//
// A container that an override names must exist, and a JSON patch must fit: a patch that silently does nothing is
// found out too late. With several kinds under one placement, `resources` says which of them an override is for.
// The short forms without a container pass over objects without containers, so that an image registry for a whole
// namespace needs no list.
package override
