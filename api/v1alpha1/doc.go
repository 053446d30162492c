// Package v1alpha1 holds the kinds of Hanse: group hanse.io, version v1alpha1.
//
// One file a kind: Cluster (a member), Placement and ClusterPlacement (what goes where, in which shares),
// Distribution (the stored decision for one template and what became of it in each member), GlobalService and
// Zone (DNS), KindRule (what the hub knows of a custom kind). The Go types carry their documentation, defaults and validation as markers; the schemas that the
// hub serves are generated from them into crds/ and embedded here, so that the types and the API cannot drift
// apart.
//
// # Guarantees
//
// The package does no I/O and decides nothing. Every field that a user can set has a doc comment, and a default
// or a stated meaning of its absence; one field that limits another is checked by a CEL rule in the schema, so a
// bad object is refused by the API at write time with the path of the field.
//
// # Considerations
//
// The kinds are ordinary CustomResourceDefinitions that the hub seeds at its start. They are not typed natives:
// nothing is gained by protobuf for them, and a schema kind brings defaulting, pruning, CEL, columns and
// subresources without code. The hub writes Distributions, users never do.
//
// +kubebuilder:object:generate=true
// +groupName=hanse.io
package v1alpha1
