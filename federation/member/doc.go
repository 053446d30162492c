// Package member is the connection to one member: clients, the kinds it serves, a cache of the objects that are ours,
// and what is known of its health and size. It lives exactly as long as its context.
//
// # Use
//
//	m := member.Connect(ctx, spec, options)    // returns at once
//	m.State()                                  // Ready? why not? since when? nodes, capacity, version
//	m.Dynamic(), m.Mapper()                    // what federation/delivery/apply wants
//	m.Objects(gvr).Subscribe(handler)          // our objects of one kind, kept up to date
//	m.Update(spec)                             // new credentials, new address: same member
//
// # Guarantees
//
// Connect, State, Update and reads from the cache never wait for the network. A member that hangs, resets, answers
// nonsense or sends without end costs its own goroutines and nothing else: every request has a deadline, and nothing is
// shared between two members but the process.
//
// A member takes no more of the hub's memory than its Bounds, whatever it sends. An answer, and each event of a watch,
// is measured while it is read, unpacked: its length, how much more it is than what came, and what will come of it when
// it is decoded, which for made-up answers is hundreds of times their length. Of large answers one is decoded at a time.
// Lists are kept small page by page, and what is kept of all kinds together has a bound, too. What is too much is refused
// and named in State.TooMuch; what was known before stays known, and it is tried again every half minute at most.
//
// State is a value of the last known truth. When the member is lost, its figures stay, LastSeen says how old they are.
//
// The cache keeps its objects while the member is away. Nobody is told that they vanished; on return only the
// differences are told. A kind that cannot be listed (403, the API is gone) says so in Objects(gvr).Err and disturbs no
// other; it recovers by itself.
//
// After ctx has ended, every goroutine and connection of the member ends, and Done is closed when the last one has.
//
// # Health
//
// GET /readyz (where there is none, /healthz) every 10 s, every second while it fails. Three failures in a row make a
// member Unreachable (no answer) or NotReady (an answer that is of no use), one success makes it Ready. A connection
// error of any other request asks for a probe at once, so a loss is seen about two seconds after somebody stumbles over
// it, and a connection that is half open within ten seconds at most (HTTP/2 ping).
//
// A watch that has told nothing for a minute and a half, not even the bookmark that an API server sends every minute, is
// mute: all is listed anew and watched again.
//
// # What it costs the member
//
// One TCP connection. One watch for each kind that we placed there, restricted to our label. One watch of nodes, and
// one of pods that have not ended (protobuf, both): the API server sends every change of a node or pod once, about 1 to
// 4 KB each before compression, which is what one more kubectl get pods -A -w costs. We keep about 90 bytes for each
// pod. Discovery is read when CustomResourceDefinitions change, when somebody asks for a kind that is not known, and
// every ten minutes.
//
// # Considerations
//
// There is no client-side rate limit: the member's priority and fairness is the judge. When it says 429 the caller is
// told so at once, with the member's Retry-After in the error; client-go would sleep inside the call.
//
// One client set is made for the life of a member, on a transport whose inner part Update replaces. So watches and
// caches need not know that credentials were rotated: their next request goes the new way.
package member
