// Package placement is the pure engine that decides in which clusters an object lives and with how many replicas.
//
// Decide takes values and returns values: no client, clock, log, context, goroutine or global state. What is random is
// a hash seeded by the object's key, so every hub replica decides alike, before and after a restart.
//
// # How a decision is made
//
// In this order, each step a file of its own:
//
//  1. gather.go: every cluster meets the placement's terms, and what the previous decision left there.
//  2. filter.go: an ordered list of filters says for each cluster: may get more, keeps what it has, is frozen, or
//     must be left, always with a code and a sentence.
//  3. capacity.go: how many replicas fit, and the vote each cluster has in the division.
//  4. spread.go: which groups (clusters, regions, zones, providers, labels) are used, and which must be; choose.go and
//     floors.go search for them.
//  5. share.go: the bounds that stability leaves, then the division: tier by tier, by Webster's method (divide.go) or
//     packed into few clusters (fill.go); then what does not fit. moves.go lets a move under way finish, and cost.go
//     keeps what runs unless the division is better.
//  6. walk.go: from what runs to what is wanted, in steps that never take away a ready replica before its successor
//     is ready.
//  7. finish.go, changes.go and describe.go: the answer with its reasons, and the same for people.
//
// whole.go stands in for steps 5 and 6 where nothing is divided. parts.go divides what goes along with the replicas
// (completions, quotas, autoscaler bounds, budgets, ordinals); annotation.go and cel.go read what users write.
// testdata/*.txt is the manual: every rule as a story.
//
// # Which clusters: terms
//
// No terms at all means every cluster with weight 1. A term names clusters, or selects them by labels or by a CEL
// expression over the cluster's facts, or (with none of these) means every cluster. Each matching cluster gets the
// term's weight, bounds and tier for itself: a selector with weight 2 that matches three clusters gives each of them
// 2. A cluster that several terms match takes the first term that names it; else the first that selects it; else
// the first that means every cluster. Weight 0 chooses a cluster for nothing: it gets no replica, and what it had
// leaves; this is how one cluster is taken out of a wide selector. A name that no cluster bears and a selector that
// matches nothing are not errors (the cluster may come later); Decision.Notes says them.
//
// # How many: division
//
// Replicas are divided as parliaments divide seats, by Webster's method: the next one always goes to the cluster with
// the largest weight/(2·has+1). A minimum is where a cluster starts from, so it counts towards its share and does not
// distort the others'; nobody goes above its maximum or its capacity, and what is cut there goes to the others by
// weight. Adding a replica never takes one from anybody.
//
// # What stays: stability
//
// Rebalance Scale (the default): scaling up adds where a cluster is most behind its share, scaling down takes where
// one is most ahead, a broken rule (a maximum, a drained cluster, a spread) is repaired with as few moves as
// possible, and nothing else moves. Never: what runs in a reachable cluster that the placement still chooses stays
// there, even when it is drained or tainted; only a scale-down takes it. Always: walks to the ideal division.
// Every voluntary move starts the new replica first and takes the old one away when the new one is ready, at most
// MaxMoves at once; meanwhile the sum is above the wanted one, said as Decision.Surge.
// Whoever stores a decision stores its Surge and Away as well and passes them back in Previous: without the Surge a
// move in progress cannot be told from a scale-down.
// Objects that must live in exactly one cluster are never decided into two: the decision drops the old one and names
// the new one at once, and who carries it out takes away before it starts.
//
// # Guarantees
//
//   - The sum over the clusters, plus Unplaced, minus Surge, is the wanted number.
//   - The order of clusters does not matter; deciding again from the result changes nothing.
//   - A cluster out of reach for less than Failover.After keeps what it has (unknown is not zero). After that its
//     replicas go to the others by weight; those that nobody else can take stay assigned to it, so a hub that lost
//     sight of everything takes nothing away.
//   - A spread that must hold and cannot places nothing new, fails nothing over, and takes nothing away that runs.
//   - Nothing that runs is taken away before somebody else can have it, unless a rule says so: a lower number, a
//     maximum of the cluster, a cluster that is no longer chosen, a taint or an API that forbids it to run there. What
//     a drain or a maximum of groups moves away stays as long as there is no room elsewhere.
//   - Under constant facts every sequence of decisions comes to rest. A decision differs from what runs only if that
//     lacks less, in this order: groups that a spread must have, replicas that are nowhere, minima and wishes; and,
//     with Rebalance Always, if it is the division by shares. A replica that starts is not moved for the shares.
//   - A cluster that came back is trusted with new replicas after it stayed ready for Failover.After; it pulls back
//     what it had only with Failover.ComeBack.
//   - Integers only; products are compared in 128 bits; every sum saturates instead of wrapping.
//
// # Considerations
//
// Free capacity is a fact of the past. Replicas that are not ready yet are taken not to have used their room, so that
// deciding twice does not promise it twice; two objects decided at the same moment can still promise the same room to
// both, and what does not fit comes back as Unschedulable.
//
// Standing and room are two facts. A cluster that is full, cordoned or tainted NoSchedule keeps its minimum, its part
// in the spread and its tier. Its vote by capacity is its free room and all that the object holds there, ready or
// not.
//
// Spread with minima and maxima over several keys is a set-cover problem. The choice is by branch and bound, so it is
// the best one for up to twelve clusters with any keys; clusters that the maxima do not tell apart count as one. The
// search of larger worlds has a limit. Reaching it without a way that keeps the spread is an answer of its own
// (SpreadUndecided): what runs stays, and nothing is called impossible or kept that is not.
//
// Fill is not house-monotone on a first decision: with more replicas another cluster may be the one that holds them
// all. From a previous decision scaling up takes from nobody, as everywhere.
package placement
