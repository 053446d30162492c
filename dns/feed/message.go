package feed

import (
	"time"

	"github.com/hanse-federation/hanse/dns/zone"
)

// Path is where a hub serves the feed.
const Path = "/dns/feed"

// Format is the version of the messages. A follower refuses any other.
const Format = 1

// Heartbeat is the longest time between two messages. A follower takes a stream for dead after Silence.
const (
	Heartbeat = 5 * time.Second
	Silence   = 3 * Heartbeat
)

// AgeUnknown is the Age of what its maker has not been sure of yet.
const AgeUnknown = -1

// Message is one line of the stream.
type Message struct {
	// Format is set in the first message.
	Format int `json:"format,omitempty"`
	// Serial of what the maker has now. 0: it has nothing yet.
	Serial uint32 `json:"serial"`
	// Config is the whole; Changes make it out of what the message before amounted to. Neither: nothing has changed.
	Config  *zone.Config  `json:"config,omitempty"`
	Changes []zone.Change `json:"changes,omitempty"`
	// Age, in milliseconds, is how long ago the maker last knew that what it has holds, as when it is cut off from where it
	// has that from. AgeUnknown: it never did.
	Age int64 `json:"age,omitempty"`
}
