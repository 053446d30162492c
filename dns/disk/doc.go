// Package disk keeps the last snapshot of a DNS server in a file, so that a server that starts answers from it at once,
// without whoever makes its snapshots.
//
// Guarantees:
//   - A reader, also after a crash or a power cut, finds a whole snapshot: the last one or the one before.
//   - A damaged file is set aside, said so, and never answered from.
//   - The time of the file is when its content was last known to hold.
//
// The file has the secrets of the snapshot in it. It belongs into a directory that only the server can read.
package disk
