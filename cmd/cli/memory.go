package cli

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// How much garbage may lie around before it is collected, in percent of what is in use. GOGC in the environment wins.
const (
	// hubGarbage is a little below the default of 100: in a wave of 1,500 objects it took a tenth off the peak of memory
	// for a tenth more CPU.
	hubGarbage = 75
	// nameserverGarbage: answers make no garbage, and changes little, so that memory can be had for next to nothing:
	// 100,000 weighted names changed a hundred times a second stay at 1.0 KB of the system's memory each instead of
	// growing to 1.3, for a hundredth of a processor.
	nameserverGarbage = 50
)

// startIsOver is when what a start needs for once (documents, schemas, first lists, zones) is needed no more.
const startIsOver = 5 * time.Second

// usableShare of the memory limit of a container is for Go; the rest is for what the kernel counts beside it.
const usableShare = 0.9

// obeyMemoryLimit has garbage collected more often when the memory limit of the cgroup is near, as that of a container,
// and follows when the limit changes: better slow than killed. GOMEMLIMIT in the environment wins; where there is no
// limit nothing changes.
func obeyMemoryLimit(limit memlimit.Provider) {
	_, _ = memlimit.SetGoMemLimitWithOpts(memlimit.WithRatio(usableShare), memlimit.WithProvider(limit),
		memlimit.WithRefreshInterval(time.Minute))
}

// saveMemory has this process, which is to run for long, keep at most so much garbage, and gives the memory of its start
// back to the system, once.
func saveMemory(ctx context.Context, garbage int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	select {
	case <-ctx.Done():
	case <-time.After(startIsOver):
		debug.FreeOSMemory()
	}
}
