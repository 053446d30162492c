// Package events tells people, by Events on the template, when a decision about it changed and when a member did not
// take it: what kubectl describe shows below the object.
//
// # Guarantees
//
// An Event is written for every change of a decision and every new outcome that is bad, and once more when a bad
// outcome ends well; not for every retry, since a retry that fails alike changes nothing. A first decision that finds a place
// for everything, and copies that simply become ready, are no news: a wave of new or updated objects costs no Event.
//
// News are read off the difference between two states of a Distribution. What happened while no hub ran is in the
// Distribution's status, but is not announced.
//
// # Considerations
//
// Events are a courtesy: they end after an hour, the library drops them when one object has too many, and nothing
// waits for them. What must be known stands in conditions.
package events
