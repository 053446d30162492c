package hub

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

const (
	// garbagePercent is a little below the default of 100: in a wave of 1,500 objects it took a tenth off the peak of
	// memory for a tenth more CPU. GOGC in the environment wins.
	garbagePercent = 75
	// settleAfter is when a start is over: what it needed for once (documents, schemas, first lists) is given back.
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
