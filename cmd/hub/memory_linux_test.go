package hub

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Only what was never written to may be let go: a relocated table and a patched page of code are in no file.
func TestUnwritten(t *testing.T) {
	const smaps = `00400000-00403000 r-xp 00000000 fe:00 10019747                           /opt/a b/hanse
Rss:                  12 kB
Anonymous:             0 kB
00403000-00404000 r--p 00003000 fe:00 10019747                           /opt/hanse
Rss:                   4 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
00404000-00405000 r--p 00004000 fe:00 10019747                           /opt/hanse
Anonymous:             4 kB
00405000-00407000 r-xp 00005000 fe:00 10019747                           /opt/hanse
Anonymous:             0 kB
00407000-00408000 rw-p 00007000 fe:00 10019747                           /opt/hanse
Anonymous:             0 kB
7f993ed1c000-7f993eefe000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f998cdec000-7f998cf42000 r-xp 00026000 fe:00 326269                     /usr/lib/x86_64-linux-gnu/libc.so.6
Anonymous:             0 kB
`
	want := []mapping{{0x403000, 0x1000}, {0x405000, 0x2000}}
	if diff := cmp.Diff(want, unwritten([]byte(smaps), "/opt/hanse"), cmp.AllowUnexported(mapping{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	releaseProgram() // and the program goes on
}
