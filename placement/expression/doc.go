// Package expression bounds what the CEL expressions of users cost in time and memory: selectors of clusters and the
// rules of kinds.
//
// The cost limit of cel-go alone is not such a bound. It charges a call after the call, so that one call may build a
// text of gigabytes first, and it charges the functions of its extensions as if they did nothing.
//
//   - A function whose result can be larger than its arguments is checked before it runs: replace, join, format,
//     flatten, lists.range and +. No value grows beyond MaxText bytes or MaxElements elements.
//   - Functions of the extensions are charged for all that they read and write.
//   - Options makes an environment, ProgramOptions a program. An expression that meets a bound ends with an error.
//
// The package is pure: the bounds count work, not time, and the same input meets them on every machine.
package expression
