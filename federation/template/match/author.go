package match

import (
	"encoding/json"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"
)

// author is what hanse.io/placed-by holds: who a placement was written by, as a CertificateSigningRequest remembers its
// requester.
type author struct {
	User   string   `json:"user"`
	UID    string   `json:"uid,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// FormatAuthor is the value of hanse.io/placed-by for a user.
func FormatAuthor(who user.Info) string {
	groups := slices.Clone(who.GetGroups())
	slices.Sort(groups)
	text, err := json.Marshal(author{User: who.GetName(), UID: who.GetUID(), Groups: slices.Compact(groups)})
	if err != nil {
		return "" // texts always have a form in JSON
	}
	return string(text)
}

// ParseAuthor is the user that a placement was written by. Of one that was written before authors were remembered only
// this is known: somebody whom the hub knew wrote it.
func ParseAuthor(text string) user.Info {
	var a author
	if text == "" || json.Unmarshal([]byte(text), &a) != nil {
		return &user.DefaultInfo{Groups: []string{user.AllAuthenticated}}
	}
	return &user.DefaultInfo{Name: a.User, UID: a.UID, Groups: a.Groups}
}
