// Package admission checks what users write about DNS names, before it is stored.
//
// Addresses refuses GlobalServices with addresses, given by hand, that the hub neither answers nor probes. What is stored
// already is checked again when it is served and when it is probed, see packages expose and probescope.
package admission
