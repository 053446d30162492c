package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Check is one named question about etcd. Run returns nil when all is well, and otherwise what to do about it.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

// Checks are what readiness asks of etcd: "etcd" answers, "etcd-space" takes writes.
func (e *Etcd) Checks() []Check {
	return []Check{{"etcd", e.Answers}, {"etcd-space", e.checkSpace}}
}

// Health is what is known of etcd at one moment.
type Health struct {
	// Version of the etcd server.
	Version string
	// Size is the size of the database file, InUse what of it holds data, Quota the size from which on nothing new is
	// taken (0: not known). Bytes.
	Size, InUse, Quota int64
	// NoSpace reports whether the quota was reached, or etcd refuses every write.
	NoSpace bool
	// Refuses reports whether etcd refuses every write.
	Refuses bool
	// DiskFree is what is left on the disk of an embedded etcd, in bytes; DiskShort tells that it is not enough.
	DiskFree  int64
	DiskShort bool
	// Took is how long one consistent read took.
	Took time.Duration
}

// Health asks the first endpoint that answers.
func (e *Etcd) Health(ctx context.Context) (Health, error) {
	begin := time.Now()
	if err := e.Answers(ctx); err != nil {
		return Health{}, err
	}
	out := Health{Quota: e.quota, Took: time.Since(begin)}
	var last error
	for _, endpoint := range e.endpoints {
		status, err := e.client.Status(ctx, endpoint)
		if err != nil {
			last = fmt.Errorf("ask etcd %s for its status: %w", endpoint, err)
			continue
		}
		out.Version, out.Size, out.InUse = status.Version, status.DbSize, status.DbSizeInUse
		if status.DbSizeQuota > 0 && !e.embedded {
			out.Quota = status.DbSizeQuota
		}
		alarms, err := e.client.AlarmList(ctx)
		if err != nil {
			return out, fmt.Errorf("ask etcd for its alarms: %w", err)
		}
		for _, alarm := range alarms.Alarms {
			out.Refuses = out.Refuses || alarm.Alarm == pb.AlarmType_NOSPACE
		}
		out.NoSpace = out.Refuses || e.overQuota() || !e.embedded && reserveTaken(out) != ""
		out.DiskFree, out.DiskShort = e.diskShort(diskLow)
		return out, nil
	}
	return out, last
}

// ReasonNoSpace is the reason of a refusal because there is no space.
const ReasonNoSpace metav1.StatusReason = "InsufficientStorage"

// Full says why nothing new is to be written to the database, and what to do about it; nothing when it has space. What
// makes space is still written then, deletions above all: there is a reserve for it. To ask takes about a microsecond.
//
// The reserve of an embedded database lies above its quota; that of an external one is the last twentieth of the quota
// that etcd tells of itself (since 3.6; one that does not tell has none). It is known as of a few seconds ago, and
// others who write to that etcd may use it up: then etcd refuses all writes, deletions too, until its operators make
// space.
func (e *Etcd) Full() string {
	if why := e.reserve.Load(); why != nil && *why != "" {
		return *why
	}
	if e.overQuota() {
		return "the hub's database has no space left within its quota; delete objects, or raise --etcd-quota"
	}
	if free, short := e.diskShort(diskLow); short {
		return e.diskRefusal(free)
	}
	return ""
}

// overQuota reports whether the embedded database has reached its quota.
func (e *Etcd) overQuota() bool { return e.size != nil && e.size() >= e.quota }

// Answers makes one read that needs a working quorum. The error is why it could not be made.
func (e *Etcd) Answers(ctx context.Context) error {
	if _, err := e.client.KV.Get(ctx, e.prefix+"/health"); err != nil {
		return fmt.Errorf("read from etcd: %w", err)
	}
	return nil
}

// checkSpace tells when writes are refused, or will be soon.
func (e *Etcd) checkSpace(ctx context.Context) error {
	health, err := e.Health(ctx)
	if err != nil {
		return err
	}
	if shortage := e.shortage(health); shortage != "" {
		return errors.New("etcd takes nothing new: " + shortage)
	}
	return nil
}

// shortage says what etcd is short of, and what to do about it; nothing when it has space.
func (e *Etcd) shortage(h Health) string {
	switch {
	case h.DiskShort:
		return e.diskRefusal(h.DiskFree)
	case h.NoSpace:
		return fmt.Sprintf("its database has reached the quota (%d of %d bytes, %d in use); delete objects, or raise the quota",
			h.Size, h.Quota, h.InUse)
	}
	return ""
}

// MakeSpace gives the space of deleted objects back and lets etcd take writes again: it compacts, defragments and
// clears the alarm, if what is in use then fits the quota. Defragmenting stops a server for as long as it takes to
// copy the database.
func (e *Etcd) MakeSpace(ctx context.Context) error {
	if _, err := e.Compact(ctx); err != nil {
		return err
	}
	if err := e.Defrag(ctx); err != nil {
		return err
	}
	return e.DisarmAlarm(ctx)
}

// Defrag rewrites the database of every endpoint without the gaps that deleted objects left.
func (e *Etcd) Defrag(ctx context.Context) error {
	if e.defrag != nil {
		if err := e.defrag(); err != nil {
			return fmt.Errorf("defragment the embedded etcd: %w", err)
		}
		return nil
	}
	for _, endpoint := range e.endpoints {
		if _, err := e.client.Defragment(ctx, endpoint); err != nil {
			return fmt.Errorf("defragment etcd %s: %w", endpoint, err)
		}
	}
	return nil
}

// DisarmAlarm lets etcd take writes again after the quota was reached. It refuses while there still is
// no space for one request.
func (e *Etcd) DisarmAlarm(ctx context.Context) error {
	health, err := e.Health(ctx)
	if err != nil {
		return err
	}
	if !health.Refuses {
		return nil
	}
	if limit := max(e.hard, health.Quota); limit > 0 && health.Size+maxRequestBytes > limit {
		return fmt.Errorf("etcd still has %d of %d bytes in use: delete more objects, or raise the quota",
			health.Size, limit)
	}
	// An empty member means all alarms of all members.
	if _, err := e.client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return fmt.Errorf("clear the alarm of etcd: %w", err)
	}
	return nil
}
