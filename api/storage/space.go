package storage

import (
	"context"
	"fmt"
	"time"
)

// spacePace is how often is asked whether the quota was reached.
const spacePace = 5 * time.Second

// KeepSpace lets an embedded etcd take writes again after its quota was reached, as soon as there is space: objects
// were deleted, old revisions are compacted, or the hub was started with a larger quota. Of an external etcd, which is
// its operators' to defragment, it watches how much of its quota is in use. It returns when ctx ends.
func (e *Etcd) KeepSpace(ctx context.Context) {
	if !e.embedded {
		e.watchReserve(ctx)
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
		if err != nil {
			continue // readiness tells
		}
		shortage := e.shortage(health)
		switch {
		case shortage != "" && !told:
			e.log.Error("etcd takes nothing new: " + shortage)
		case shortage == "" && told:
			e.log.Info("etcd takes writes again", "inUse", health.InUse, "quota", health.Quota, "diskFree", health.DiskFree)
		}
		if told = shortage != ""; told {
			e.regainSpace(ctx)
		}
	}
}

// reservePart of an external etcd's quota is the reserve: one part of so many.
const reservePart = 20

// watchReserve asks an external etcd, again and again, whether all but the reserve is in use.
func (e *Etcd) watchReserve(ctx context.Context) {
	tick := time.NewTicker(spacePace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.lookAtReserve(ctx)
		}
	}
}

func (e *Etcd) lookAtReserve(ctx context.Context) {
	health, err := e.Health(ctx)
	if err != nil {
		return // what was known last stands
	}
	now := reserveTaken(health)
	if before := e.reserve.Swap(&now); before == nil && now != "" || before != nil && (*before == "") != (now == "") {
		if now == "" {
			e.log.Info("etcd takes writes again", "inUse", health.InUse, "quota", health.Quota)
		} else {
			e.log.Error("nothing new is written to etcd: " + now)
		}
	}
}

// reserveTaken says that what an external etcd holds has come to its reserve; nothing while it has not, or when it does
// not tell its quota. Gaps in its file do not count: what is written goes there first.
func reserveTaken(h Health) string {
	if h.Quota <= 0 || h.InUse < h.Quota-h.Quota/reservePart {
		return ""
	}
	return fmt.Sprintf("etcd has %d of the %d bytes of its quota in use, and the rest is kept for deletions; delete "+
		"objects, or raise etcd's --quota-backend-bytes", h.InUse, h.Quota)
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

// isWorthIt reports whether a tenth of the quota would be free; with less the next writes would fill it again at once.
// When etcd refuses every write, half of the reserve is worth it, too: without it nothing could be deleted. On a disk
// that is short, the gaps must be as large as what is missing, and the copy that is made must fit.
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
