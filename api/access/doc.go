// Package access answers two questions about a request to the hub: who is calling, and may they do it.
//
// # Who
//
// OpenPKI keeps the hub's own certificate authority, its serving certificate and the client certificates it issues.
// NewAuthenticator joins the ways to say who one is, in this order: client certificate, bearer token from a file,
// ServiceAccount token, OIDC token, anonymous.
//
// # May they
//
// NewAuthorizer joins the group system:masters (everything), paths open to all, and RBAC.
//
// # Guarantees
//
//   - Private keys are never readable by others: files are 0600 from the first byte on, and a file is replaced in one
//     step, so that a hub killed at any moment finds either the old or the new one.
//   - A certificate that cannot be read is an error that names the file, never a silent new authority: a new authority
//     would lock every issued kubeconfig out.
//   - The serving certificate is renewed while the hub runs, before its end; no restart, no dropped connection.
//   - A token or certificate that does not convince is refused; the anonymous user is given only to requests that
//     bring no credentials at all.
//
// # Considerations
//
// The private key and the certificate of one identity are in one PEM file, so that the two cannot be out of step.
//
// Several replicas of one hub must have one authority. It is stored once, by PKIOptions.Keep, and each takes it from
// there; whoever may read that store could read the hub's Secrets as well.
// Serving certificates are each replica's own.
//
// Certificates begin an hour before they are made, so that a client whose clock is a little behind accepts them. When
// the hub's clock has moved so that the serving certificate is not valid now, a new one is made at the next
// handshake; an authority that is not valid now is an error that tells both times.
package access
