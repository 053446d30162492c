package propagate

import "testing"

// Members may go down to their shares when what the decision keeps is ready.
func TestKeepsReady(t *testing.T) {
	for _, row := range []struct {
		what   string
		wanted int64
		chosen []running
		ready  int64
		enough bool
	}{
		{"the successors are not ready", 12, []running{{ready: 6, share: 12}}, 6, false},
		{"they are", 12, []running{{ready: 12, share: 12}}, 12, true},
		{"what is above a share does not count", 12, []running{{ready: 12, share: 6}, {ready: 4, share: 6}}, 10, false},
		{"a member that cannot be reached has none that count", 12, []running{{ready: 6, share: 6}, {ready: 0, share: 6}}, 6, false},
		{"a move on its way", 10, []running{{ready: 4, share: 4}, {ready: 6, share: 6}}, 10, true},
		{"scaled down", 6, []running{{ready: 6, share: 3}, {ready: 4, share: 3}}, 6, true},
		{"scaled down where one has none ready", 6, []running{{ready: 6, share: 3}, {ready: 0, share: 3}}, 3, false},
		{"scaled to zero", 0, []running{{ready: 6, share: 0}}, 0, true},
		{"there is no room for all", 12, []running{{ready: 8, share: 8}}, 8, true},
		{"nobody gets any", 12, nil, 0, true},
		{"a whole copy in each", 4, []running{{ready: 4, share: 4}, {ready: 0, share: 4}}, 4, true},
	} {
		if ready, enough := keepsReady(row.wanted, row.chosen); ready != row.ready || enough != row.enough {
			t.Errorf("%s: %d ready, enough %t, want %d, %t", row.what, ready, enough, row.ready, row.enough)
		}
	}
}
