package storage

import (
	"context"
	"time"
)

// spacePace is how often is asked whether the quota was reached.
const spacePace = 5 * time.Second

// KeepSpace lets an embedded etcd take writes again after its quota was reached, as soon as there is space: objects
// were deleted, old revisions are compacted, or the hub was started with a larger quota. It returns when ctx ends, and
// at once for an external etcd, which is its operators' to defragment.
func (e *Etcd) KeepSpace(ctx context.Context) {
	if !e.embedded {
		return
	}
	tick := time.NewTicker(spacePace)
	defer tick.Stop()
	isFull := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		health, err := e.Health(ctx)
		if err != nil || !health.NoSpace {
			isFull = false
			continue
		}
		if !isFull {
			e.log.Error("etcd takes nothing new: its quota is reached; delete objects, or raise the quota",
				"size", health.Size, "inUse", health.InUse, "quota", health.Quota)
		}
		isFull = true
		if e.regainSpace(ctx) {
			isFull = false
		}
	}
}

// regainSpace compacts, which is cheap, and defragments, which is not, only if that makes enough space to be of use.
func (e *Etcd) regainSpace(ctx context.Context) bool {
	if _, err := e.Compact(ctx); err != nil {
		e.log.Warn("making space in etcd", "error", err)
		return false
	}
	health, err := e.Health(ctx)
	if err != nil || !e.isWorthIt(health) {
		return false
	}
	if err := e.MakeSpace(ctx); err != nil {
		e.log.Warn("making space in etcd", "error", err)
		return false
	}
	e.log.Info("etcd takes writes again", "inUse", health.InUse, "quota", health.Quota)
	return true
}

// isWorthIt tells that a tenth of the quota would be free; with less the next writes would fill it again at once. When
// etcd refuses every write, half of the reserve is worth it, too: without it nothing could be deleted.
func (e *Etcd) isWorthIt(h Health) bool {
	return h.InUse <= h.Quota-h.Quota/10 || h.Refuses && h.InUse <= e.hard-(e.hard-e.quota)/2
}

// fullFor is how long a database counts as full for MakeRoom after it was: while it is emptied, its size says little.
const fullFor = time.Minute

// MakeRoom keeps room in the reserve of a database that is Full. Whoever deletes calls it first: the old state of an
// object is dropped before the reserve is filled with new ones. Unless the database is Full, or was a moment ago, it
// does nothing.
func (e *Etcd) MakeRoom(ctx context.Context) {
	if e.size == nil {
		return
	}
	e.room.Lock()
	defer e.room.Unlock()
	switch {
	case e.Full():
		e.wasFull = time.Now()
	case time.Since(e.wasFull) > fullFor:
		return
	}
	e.commit()
	// etcd compares the size of the file and what is to be written with its quota; gaps in the file do not count.
	need := max((e.hard-e.quota)/4, maxRequestBytes)
	isTight := func() bool { return e.size()+need > e.hard }
	if gaps := e.size() - e.inUse(); gaps > need && !isTight() {
		return // what is written now finds room within the file
	}
	if _, err := e.Compact(ctx); err != nil {
		e.log.Warn("making room in etcd", "error", err)
		return
	}
	if isTight() && e.size()-e.inUse() > need/2 {
		if err := e.Defrag(ctx); err != nil {
			e.log.Warn("making room in etcd", "error", err)
		}
	}
}
