package nameserver

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

const (
	// garbagePercent: answers make no garbage, and changes little, so that memory can be had for next to nothing: 100,000
	// weighted names changed a hundred times a second stay at 1.0 KB of the system's memory each instead of growing to
	// 1.3, for a hundredth of a processor. GOGC in the environment wins.
	garbagePercent = 50
	// settleAfter is when a start is over: what reading and building the zones needed for once is given back.
	settleAfter = 5 * time.Second
)

// settle gives the memory of the start back to the system, once.
func settle(ctx context.Context) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	select {
	case <-ctx.Done():
	case <-time.After(settleAfter):
		debug.FreeOSMemory()
	}
}
