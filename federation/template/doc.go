// Package template watches the templates: every native or custom object on the hub that a placement may send to
// members.
//
// # Guarantees
//
// A Store follows the kinds that the hub serves, kinds of CustomResourceDefinitions that come and go included, and
// holds the present state of their objects. What Get and Each return is shared and must not be changed. Handlers
// see every object at least once, and every later change; they run on the watch's goroutine and must only put a key
// in a queue.
//
// # Considerations
//
// A kind whose watch fails delays only itself. Kinds that belong to one API server (events, leases, nodes,
// endpoints) and Hanse's own kinds are not templates and are not watched; Local lists them with the reason.
//
// Objects are held whole, since a template is rendered from memory; managedFields, which are a third of a small
// object and never sent to a member, are dropped as they arrive.
package template
