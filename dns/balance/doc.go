// Package balance decides which targets of a balanced name an answer contains.
//
// It works in two steps. Select says which targets may be answered at all: health, tiers with a floor, and what to do
// when no target is healthy. Then one of the plans (Staircase, Single, All) turns their weights into sets of targets,
// each with the probability with which it is answered, as exact integers; Sticky picks by the client instead.
//
// Guarantees:
//   - An unhealthy target is in no set while a healthy one exists, whatever their weights; one with weight 0 is in none
//     while one with a weight is healthy.
//   - Staircase and Single give each target exactly its share of the weight, if clients pick evenly among what they are
//     given.
//   - Losing sight of every target at once changes nothing.
//   - The same input gives the same plan everywhere.
//
// It is pure: values in, values out; random and hashed draws are arguments.
//
// Considerations: weight cannot be expressed by the order of records, because resolvers rotate and sort them; it can be
// expressed by which records are in the answer. Drawing one target each time does that, but leaves the client no second
// address to try. The staircase does both: with weights w1 >= w2 >= ... >= wn, the set of the first k targets is
// answered with probability k*(wk - wk+1) / sum. A client that picks evenly in its set picks target i with probability
// sum over k >= i of (wk - wk+1) / sum, which telescopes to wi / sum. With 80 and 20 both targets are answered four
// times in ten, the first alone six times in ten.
package balance
