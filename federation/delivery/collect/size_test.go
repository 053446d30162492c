package collect

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Statuses that do not fit into one object together are left out, the biggest, and counted.
func TestCutStatuses(t *testing.T) {
	outcomes := func(sizes ...int) []v1alpha1.ClusterOutcome {
		var all []v1alpha1.ClusterOutcome
		for _, size := range sizes {
			o := v1alpha1.ClusterOutcome{}
			if size > 0 {
				o.Status = &runtime.RawExtension{Raw: []byte(strings.Repeat("x", size))}
			}
			all = append(all, o)
		}
		return all
	}
	for _, c := range []struct {
		what  string
		sizes []int
		want  []bool // kept
	}{
		{"none", nil, nil},
		{"small ones", []int{100, 0, 2000}, []bool{true, false, true}},
		{"just enough", []int{maxStatuses / 2, maxStatuses / 2}, []bool{true, true}},
		{"a giant", []int{100, maxStatuses, 2000}, []bool{true, false, true}},
		{"all too big", []int{maxStatuses, maxStatuses}, []bool{false, false}},
	} {
		t.Run(c.what, func(t *testing.T) {
			all := outcomes(c.sizes...)
			cut, total := cutStatuses(all), 0
			var missing int32
			for i, o := range all {
				if kept := o.Status != nil; kept != c.want[i] {
					t.Errorf("status %d is kept: %t, want %t", i, kept, c.want[i])
				}
				if o.Status == nil && c.sizes[i] > 0 {
					missing++
				} else if o.Status != nil {
					total += len(o.Status.Raw)
				}
			}
			if cut != missing {
				t.Errorf("%d are said to be cut, %d are", cut, missing)
			}
			if total > maxStatuses {
				t.Errorf("%d bytes are left", total)
			}
		})
	}
}
