// Package dynamicupdates keeps what others write into a Zone by DNS messages (RFC 2136): a ConfigMap beside the Zone, in the
// system namespace, with the records as lines of a zone file.
//
// # Guarantees
//
// A message is acknowledged when its records are stored, and not before, so that no restart loses them. Two that arrive
// at the same time, at whatever replicas, are carried out one after the other.
//
// # Considerations
//
// They are not written into the Zone itself: that is a user's wish, often kept in a repository from which it is applied
// again and again. Nor into its status, which says what is served and can be made anew.
package dynamicupdates
