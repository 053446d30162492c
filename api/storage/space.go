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
	told := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		health, err := e.Health(ctx)
		isShort := err != nil || health.NoSpace || health.DiskShort
		switch {
		case err != nil:
		case isShort && !told:
			e.log.Error("etcd takes nothing new: "+e.Full(), "size", health.Size, "inUse", health.InUse, "quota", health.Quota,
				"diskFree", health.DiskFree)
			told = true
		case !isShort && told:
			e.log.Info("etcd takes writes again", "inUse", health.InUse, "quota", health.Quota, "diskFree", health.DiskFree)
			told = false
		}
		if err == nil && isShort {
			e.regainSpace(ctx)
		}
	}
}

// regainSpace compacts, which is cheap, and defragments, which is not, only if that makes enough space to be of use.
func (e *Etcd) regainSpace(ctx context.Context) {
	if _, err := e.Compact(ctx); err != nil {
		e.log.Warn("making space in etcd", "error", err)
		return
	}
	health, err := e.Health(ctx)
	if err != nil || !e.isWorthIt(health) {
		return
	}
	if err := e.MakeSpace(ctx); err != nil {
		e.log.Warn("making space in etcd", "error", err)
	}
}

// isWorthIt tells that a tenth of the quota would be free; with less the next writes would fill it again at once. When
// etcd refuses every write, half of the reserve is worth it, too: without it nothing could be deleted. On a disk that is
// short, the gaps must be as large as what is missing, and the copy that is made must fit.
func (e *Etcd) isWorthIt(h Health) bool {
	if h.DiskShort {
		return h.DiskFree+h.Size-h.InUse > diskLow && h.InUse < h.DiskFree-diskStart
	}
	return h.InUse <= h.Quota-h.Quota/10 || h.Refuses && h.InUse <= e.hard-(e.hard-e.quota)/2
}

// fullFor is how long a database counts as full for MakeRoom after it was: while it is emptied, its size says little.
const fullFor = time.Minute

// MakeRoom keeps room in the reserve of a database over its quota. Whoever deletes calls it first: the old state of an
// object is dropped before the reserve is filled with new ones. Unless it is over its quota, or was a moment ago, it
// does nothing.
func (e *Etcd) MakeRoom(ctx context.Context) {
	if e.size == nil {
		return
	}
	e.room.Lock()
	defer e.room.Unlock()
	switch {
	case e.overQuota():
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
