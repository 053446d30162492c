package hub

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

const (
	// garbagePercent lets the heap grow to two and a half times what lives. A hub's heap is small and its work makes much
	// garbage, so the default of 100 spends a quarter of its CPU on collecting. GOGC in the environment wins.
	garbagePercent = 150
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
