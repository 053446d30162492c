// Package admission checks what users write about DNS names, before it is stored.
//
// Addresses refuses GlobalServices with addresses, given by hand, that the hub neither answers nor probes. What is stored
// already is checked again when it is served and when it is probed, see packages expose and probescope.
//
// Owners refuses GlobalServices names that belong to others, and writes down in hanse.io/claimed-names which names an
// author had the right to claim. Package expose serves by the same rules (package owners) and by what is written there, so
// nobody but the hub may write it.
package admission
