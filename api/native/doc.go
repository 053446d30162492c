// Package native is what the hub knows of Kubernetes' own kinds: their types, conversions, field selectors,
// validation, printed columns, access rules (RBAC), ServiceAccount tokens, and the controllers that empty
// namespaces, collect garbage and aggregate cluster roles.
//
// It is the ONE package of the hub that imports k8s.io/kubernetes, so that this dependency can be replaced in one
// place. Everything it exports is spoken in versioned k8s.io/api types; no internal type leaves it.
//
// # Guarantees
//
//   - Validation, warnings, columns, escalation rules and controllers are upstream's own code of the release in
//     go.mod; nothing is copied or re-told. A manifest refused here is refused by a member of that release too.
//   - No function changes its argument: defaulting and conversion work on deep copies.
//   - A kind this package does not know is neither refused nor completed.
//
// # Considerations
//
// A hub object is a template: it is stored as its user sent it, and served as a cluster of the release in go.mod would
// serve it ([Default]). A member's defaults stay the member's: another release may have others, and what the hub does not
// set its users can leave to the autoscalers and controllers there. Validation therefore looks at a copy that upstream has
// defaulted and prepared, never at the bare object. What is stored is changed in one place only: Secret.stringData, which
// the API defines as write-only.
//
// Clients write back what they read, defaults included. [Undefaulted] finds what of it somebody set: what was stored
// before, what differs from what was served, and what server-side apply says somebody owns. The other way, to store the
// defaults and to send members only what metadata.managedFields names, was not taken: these fields know defaults from
// values only for server-side apply (a create owns all it sent), clients may clear them, and every rendering would read
// them.
//
// Values that only a running cluster hands out (clusterIP, the selector of a Job, node ports) are absent in a
// template; that never fails, because upstream's preparation step completes the copy first.
//
// Each namespace has a ServiceAccount "default" and a ConfigMap kube-root-ca.crt, as on a cluster. They are the hub's own:
// members have theirs, and no selector of a placement takes them. What is put on the account, such as imagePullSecrets,
// reaches the members' accounts by a Placement that names it (ServiceAccount default) with onConflict Adopt, as for every
// object that a member has already.
package native
