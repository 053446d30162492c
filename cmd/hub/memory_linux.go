package hub

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseProgram lets go of the pages of the program's own file that are mapped. A start runs through code and tables
// that are never needed again, and the kernel maps generously around each page that is touched. What is used still
// comes back from the page cache at the cost of a minor fault.
//
// Only mappings that nothing has ever been written to are let go, so that nothing can be lost.
func releaseProgram() {
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return // a system without it keeps the pages
	}
	program, err := os.Executable()
	if err != nil {
		return
	}
	for _, m := range unwritten(maps, program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.length, unix.MADV_DONTNEED) // refused: they stay
	}
}

// mapping is a range of addresses.
type mapping struct{ start, length uintptr }

// unwritten finds in the text of /proc/self/smaps the mappings of a file that are read-only and have no page of their
// own.
func unwritten(smaps []byte, file string) []mapping {
	var found []mapping
	var current mapping
	for lines := bufio.NewScanner(bytes.NewReader(smaps)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"): // 00400000-03c2a000 r-xp 00000000 fe:00 10019747 /bin/hanse
			current = mapping{}
			if len(fields) == 6 && fields[5] == file && !strings.Contains(fields[1], "w") {
				current = parseRange(fields[0])
			}
		case len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" && current.length > 0:
			found = append(found, current)
		}
	}
	return found
}

func parseRange(text string) mapping {
	from, to, _ := strings.Cut(text, "-")
	start, err := strconv.ParseUint(from, 16, 64)
	if err != nil {
		return mapping{}
	}
	end, err := strconv.ParseUint(to, 16, 64)
	if err != nil || end < start {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end - start)}
}
