// Package results is the book of what became of each template in each member: the last verdict of every apply, held
// in memory.
//
// The book lets the reconciler that applies and the one that reports work without calling one another and without
// two writers of one status: propagate writes entries, collect reads them and is the only writer of
// Distribution.status. Nothing of value lives only here: entries are loaded from Distribution.status at the start,
// and an entry that was lost by a crash is found again by an apply that changes nothing.
//
// # Guarantees
//
// Entries are values. A Listener hears of every change of a template's entries, after it, and must only put a key in
// a queue.
package results
