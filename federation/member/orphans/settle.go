package orphans

import (
	"context"
	"strings"

	"github.com/hanse-federation/hanse/federation/delivery/apply"
)

// Way is what somebody wants done with leftovers.
type Way string

const (
	// Remove deletes them; what was there before us is released.
	Remove Way = "Remove"
	// Release takes our marks off and leaves them.
	Release Way = "Release"
)

// Request is the answer to a list of leftovers.
type Request struct {
	Way Way
	// Digest of the list that was answered.
	Digest string
}

// String is what ParseRequest reads.
func (r Request) String() string { return string(r.Way) + "/" + r.Digest }

// ParseRequest reads "Remove/DIGEST" or "Release/DIGEST".
func ParseRequest(text string) (Request, bool) {
	way, digest, found := strings.Cut(text, "/")
	r := Request{Way: Way(way), Digest: digest}
	return r, found && digest != "" && (r.Way == Remove || r.Way == Release)
}

// Settle does as asked with one object. The verdict is Deleted, Skipped (it stays, see the reason), Pending or Failed.
func Settle(ctx context.Context, m Member, hub apply.Hub, o Object, way Way) apply.Result {
	return apply.Delete(ctx, m, o.Ref, apply.DeleteOptions{Hub: hub, TemplateUID: o.Template, Orphan: way == Release})
}
