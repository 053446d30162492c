package acks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/utils/ptr"
)

const (
	// renewEvery is between two reports of a server whose serial does not change, and settle between two at all.
	renewEvery = 10 * time.Second
	settle     = 200 * time.Millisecond
	// leaseSeconds is when others may say that the server is silent.
	leaseSeconds = 30
	// patience bounds one write.
	patience = 10 * time.Second
)

// Reporter keeps the Lease of one DNS server.
type Reporter struct {
	// Leases of the hub's namespace for DNS servers.
	Leases coordination.LeaseInterface
	// Name of the server, its Lease's name.
	Name string
	// Addresses that it listens on, and Version of the program.
	Addresses []string
	Version   string
	// Serial that it answers from; 0: none yet.
	Serial func() uint32
	// Changed is closed when Serial may be another.
	Changed func() <-chan struct{}
	Logger  *slog.Logger
	Now     func() time.Time

	known    *coordinationv1.Lease // as the hub last told
	isFailed bool                  // the last write failed, and that was logged
}

// ErrSucceeded, as the cause of the end of Run's context, says that another process goes on under the same name.
var ErrSucceeded = errors.New("another process goes on under the same name")

// Run reports until the context ends, and then that the server has ended, unless it has a successor. What cannot be written is written later:
// a DNS server does not depend on being heard.
func (r *Reporter) Run(ctx context.Context) {
	for {
		changed := r.Changed() // before the serial: what comes between is reported at once
		r.try(ctx, r.Name)
		select {
		case <-ctx.Done():
		case <-time.After(settle):
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), ErrSucceeded) {
				return
			}
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			r.try(last, "")
			return
		case <-changed:
		case <-time.After(renewEvery):
		}
	}
}

// try writes, and says once when it begins to fail and when it works again.
func (r *Reporter) try(ctx context.Context, holder string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := r.report(ctx, holder)
	if apierrors.IsConflict(err) {
		err = r.report(ctx, holder) // somebody else wrote to it, once
	}
	switch {
	case err != nil && !r.isFailed && ctx.Err() == nil:
		r.Logger.Warn("telling the hub which DNS snapshot is served", "error", err)
	case err == nil && r.isFailed:
		r.Logger.Info("the hub is told again which DNS snapshot is served")
	}
	r.isFailed = err != nil
}

func (r *Reporter) report(ctx context.Context, holder string) error {
	if r.known == nil {
		if err := r.find(ctx); err != nil {
			return err
		}
	}
	next := r.known.DeepCopy()
	if next.Annotations == nil {
		next.Annotations = map[string]string{}
	}
	maps.Copy(next.Annotations, map[string]string{
		SerialAnnotation:    strconv.FormatUint(uint64(r.Serial()), 10),
		AddressesAnnotation: strings.Join(r.Addresses, ","),
		VersionAnnotation:   r.Version,
	})
	next.Spec.HolderIdentity = &holder
	next.Spec.RenewTime = &metav1.MicroTime{Time: r.Now()}
	next.Spec.LeaseDurationSeconds = ptr.To[int32](leaseSeconds)
	written, err := r.Leases.Update(ctx, next, metav1.UpdateOptions{})
	if err != nil {
		r.known = nil // somebody else changed or deleted it: read it again
		return fmt.Errorf("writing the Lease %s/%s: %w", Namespace, r.Name, err)
	}
	r.known = written
	return nil
}

// find reads the Lease, or makes it.
func (r *Reporter) find(ctx context.Context) error {
	found, err := r.Leases.Get(ctx, r.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		found, err = r.Leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: r.Name},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("making the Lease %s/%s: %w", Namespace, r.Name, err)
	}
	r.known = found
	return nil
}
