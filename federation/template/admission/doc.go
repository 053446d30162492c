// Package admission looks at every object on its way into the hub: it refuses what cannot be understood, and puts the
// finalizer on templates that a placement already claims.
//
// # Guarantees
//
// A placement annotation that does not parse is refused with the position in its text; a Placement whose selectors,
// expressions or overrides cannot be read, and a KindRule that does not compile, with the path of the field; a new
// object of which a ResourceQuota of its namespace allows no more, as any API server does. Nothing else is ever
// refused, and nothing is asked of anybody: admission works from memory.
//
// # Considerations
//
// The finalizer must be on a template before its first copy is made. Setting it while the template is written anyway
// saves a write for each object; package schedule sets it where the placement came later.
package admission
