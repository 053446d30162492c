package apply

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// ceded are the fields that we set before, that obj does not set any more, and that the member's object keeps, since
// another manager has set them meanwhile. before is the digest of the object that obj replaces.
func ceded(before digest, obj, after *unstructured.Unstructured) []fieldConflict {
	dropped := before.without(digestFields(obj))
	if len(dropped) == 0 {
		return nil
	}
	var fields []fieldConflict
	for _, entry := range after.GetManagedFields() {
		if entry.Manager == FieldManager || entry.Subresource == "status" || entry.FieldsV1 == nil {
			continue
		}
		var set fieldpath.Set
		if set.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())) != nil {
			continue // what cannot be read is not told of
		}
		set.Leaves().Iterate(func(path fieldpath.Path) {
			text := path.String()
			_, isDropped := slices.BinarySearch(dropped, hashPath(withoutSelectors(text)))
			if isDropped && !isMarkPath(text) {
				fields = append(fields, fieldConflict{path: text, manager: managerOf(entry)})
			}
		})
	}
	return fields
}

// managerOf names a manager as the server does in its conflicts.
func managerOf(entry metav1.ManagedFieldsEntry) string {
	name := strconv.Quote(entry.Manager)
	if entry.Subresource != "" {
		name += " with subresource " + strconv.Quote(entry.Subresource)
	}
	return name
}

// afterCeding tells of the fields that the template does not set any more and that stay all the same.
func (r Result) afterCeding(fields []fieldConflict) Result {
	if len(fields) > 0 && r.Reason == "" {
		r.Reason = ReasonCeded
		r.Message = fmt.Sprintf("the template does not set them any more, and they stay: %s; what nobody wants there is to be "+
			"removed in the member", describeConflicts(fields))
	}
	return r
}
