package apply

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Change is one difference between what the member has and what it would have.
type Change struct {
	Op   Op
	Path string // as in server-side apply: .spec.template.spec.containers[name="app"].image
	// From and To are JSON, cut to a length a person reads. Both are empty for Secrets, and From is empty if the object
	// is not ours.
	From, To string
}

// Op is what happens to a field.
type Op string

const (
	Add    Op = "add"
	Remove Op = "remove"
	Alter  Op = "change"
)

// Diff asks the member, by a server-side dry-run, what Apply would do and change. Nothing is written.
func Diff(ctx context.Context, target Target, obj *unstructured.Unstructured, o Options) ([]Change, Result) {
	panic("follows in the next commit")
}
