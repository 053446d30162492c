// Package dnspeers runs DNS programs of other makers beside our server: as secondaries, as resolvers, and as what we
// are measured against.
//
// The programs come from Debian packages. They are downloaded with apt-get and unpacked into bin/dnspeers under the
// repository; nothing is installed, no service is started, and root is not needed. Where there is no apt, or no way to
// a package, Unpack returns ErrNoPackages, and a test that needs it says so and is skipped.
//
// Guarantees:
//   - Everything listens on ports of 127.0.0.1 that were free a moment ago, and ends with the program that started it.
//   - A Peer that was returned has answered a query.
//
// Considerations: each peer gets the smallest configuration that does the job, so that what it does is its defaults.
// Rate limits are switched off where a package has them on, because all load comes from one address.
package dnspeers
