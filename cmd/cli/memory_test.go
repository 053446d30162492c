package cli

import (
	"errors"
	"math"
	"os"
	"runtime/debug"
	"testing"
)

// The limit of the cgroup is obeyed, unless somebody said otherwise or there is none.
func TestMemoryLimit(t *testing.T) {
	t.Cleanup(func() { debug.SetMemoryLimit(math.MaxInt64) })
	for _, c := range []struct {
		what, env string
		limit     uint64
		err       error
		want      int64
	}{
		{"none", "", 0, errors.New("no cgroup here"), math.MaxInt64},
		{"a container's", "", 1 << 30, nil, 966367641},
		{"somebody else's", "100MiB", 1 << 30, nil, math.MaxInt64},
	} {
		debug.SetMemoryLimit(math.MaxInt64)
		t.Setenv("GOMEMLIMIT", c.env)
		if c.env == "" {
			os.Unsetenv("GOMEMLIMIT")
		}
		obeyMemoryLimit(func() (uint64, error) { return c.limit, c.err })
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}
