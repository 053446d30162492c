// Package decide is the floor on which decisions are made; it holds no code of its own.
//
//	schedule   reconciler: template + placement + facts about the members -> Distribution.spec
//	plan       what schedule and propagate would do with objects that are not applied yet; writes nothing
//
// Both gather facts, call the pure engine in the package placement, and act on its decision.
package decide
