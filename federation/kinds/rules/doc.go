// Package rules makes what people teach about custom kinds (KindRule) into rules of package kinds, and keeps the
// book in which every part of the federation looks rules up.
//
// # Use
//
//	lesson, err := kindrule.Compile(&rule.Spec)   // pure; err names the field and the position
//	rule := book.For(gk)                          // what is in force now
//	kindrule.Try(rule, object, …)                 // what a rule makes of an object, for people
//
// # What is in force
//
// For a kind of Kubernetes itself: what package kinds says, always. For a custom kind, the first of: the user's
// KindRule, the rule shipped with the hub (shipped/*.yaml), the generic rule. On top, a scale subresource of the
// kind's CustomResourceDefinition says where replicas are, unless the rule says it, or a mode, itself.
//
// # Guarantees
//
// Compile and Try are pure. An expression is compiled once, checked for its type, and bounded in what an evaluation may
// cost. A change of a rule, or of a definition's scale, is told to all listeners after it is in force; the book is safe
// for any number of goroutines. A rule that does not compile (one written under another version of the hub) leaves the
// rule before it, or the shipped one, in force, and its status says so.
//
// # Considerations
//
// A health case whose expression asks for a field that is not there does not hold: a fresh object has no status, and
// every rule would have to say so otherwise. Any other failure makes the health Unknown and names the expression.
// Replicas and dependencies that cannot be evaluated hold the decision up, with the reason: guessing would move things.
//
// Shipped rules are compiled at their first use: a hub that runs none of these projects pays nothing.
package rules
