// Package match finds the placement of a template: which of the annotation, the Placements and the ClusterPlacements
// decides about it.
//
// # Rules
//
// The annotation hanse.io/clusters on the template itself comes first, then Placements of its namespace that name it,
// then those that select it, then ClusterPlacements in the same order; a ClusterPlacement claims cluster-scoped
// objects, and whole namespaces with everything in them. Two claims of the same rank are an error that both sides
// show; the older keeps the object, so that a new placement never takes away by accident what runs.
//
// # Guarantees
//
// Nothing claims what is the hub's own (template.StaysOnHub), by whatever name.
//
// An Index holds placements in compiled form (selectors, CEL programs) and is safe for concurrent use. What it
// returns is shared and must not be changed. A placement that cannot be compiled claims nothing and says why.
//
// # Considerations
//
// Named resources are looked up in a map, so ten thousand placements that name one object each cost no scan.
package match
