// Package federation is the list of all reconcilers, in one screen (controllers.go), and what they share.
//
// # Guarantees
//
// Reconcilers never call one another. They meet in stored objects, and in memory only through the packages below
// them that hold what is seen: template (what is wanted), fleet (the members), ledger (what applies did). Any of
// them may be killed at any time and the rest goes on.
//
// On a hub of several replicas the reconcilers run where the Lease hanse-system/hanse-controllers is held. What every
// replica needs to serve (placements for admission, Distributions for columns, DNS, the way into the members) runs on
// all.
package federation
