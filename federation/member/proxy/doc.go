// Package proxy carries what people ask of one member through the hub: /clusters/<name>/… is the member's own API.
//
// # Guarantees
//
// The member sees the caller, not the hub: a request goes with the hub's credentials and the caller's name and groups
// as impersonation, so the member's RBAC decides what it may do there. Nothing that the caller used to prove itself to
// the hub is sent on, and no impersonation but this one.
//
// Everything that an API server can do passes: watches, logs that follow, exec, attach and port-forward (SPDY and
// WebSocket), discovery, protobuf. Streams end when one of the two sides ends them; new credentials of the hub do not
// cut them.
//
// A member cannot lead its callers away. A redirect, which would take the caller's credentials with it, a change of the
// protocol that nobody asked for, and informational answers are not passed on; headers that set cookies, ask for
// passwords or change what a browser does elsewhere are taken off. Browsers treat what comes from a member as a document
// without an origin, so it cannot act as a page of the hub.
//
// A member that is away costs its callers no wait: they are told so at once, since when, and why. What goes wrong is a
// Status of the Kubernetes API that says what to do.
//
// # Considerations
//
// A proxy uses connections of its own (member.Guest), made from the Cluster and its Secret when somebody first asks. So
// every replica of the hub relays, also those that do not run the reconcilers, and a slow download takes nothing from
// the reconcilers' connection. Whether a member is there it reads off the Cluster's status.
//
// Two things about the caller stay at home. Groups that Kubernetes gives to everybody who is authenticated, or to every
// ServiceAccount, are given again by the member, and what the hub's credentials say about themselves
// (authentication.kubernetes.io/…) means nothing there. To name them would only take more rights of impersonation.
//
// The UID of a user is the hub's own and is not sent. A ServiceAccount of the hub is the ServiceAccount of that name in
// the member: namespaces are the same across the fleet.
package proxy
