// Package querylog shows the queries that a DNS server answers to whoever looks, and nobody else.
//
// A Ring has the last of them. It is off until somebody watches it, and off again when nobody does. Serve gives it to
// watchers over HTTP, a line of JSON for each query; Read is the other side.
//
// # Guarantees
//
//   - Off, a query costs one atomic load. On, it costs a copy into memory that is there already: no allocation, and no
//     lock that two workers share, unless one is a whole ring ahead.
//   - The ring never grows, and no worker ever waits for a watcher. What a slow watcher misses is counted, and told.
//   - A watcher that has gone without a word is found out by what is sent to it, and the ring goes off.
//
// # Considerations
//
// There is no file and no setting: a log of queries says who asks for what, so it is made only while somebody wants it.
// A watcher is given ringSize queries every lookEvery at most; a busier server shows a part of them and says how many it
// left out, instead of working for its log.
package querylog
