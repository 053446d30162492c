package propagate

import (
	"context"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// ReasonStillAnswered is that of a verdict about a copy that stays for a while, since clients may still be led to it.
const ReasonStillAnswered = "StillAnswered"

// drainPoll is how often a copy that stays for a while is looked at; that costs a look into memory.
const drainPoll = time.Second

// isDraining reports whether DNS answers may still lead to what runs here, and why: then it stays, whatever the decision is. A
// template that is deleted takes its copies along at once, since there is nothing left to lead anybody to.
func (mw *memberWorker) isDraining(ctx context.Context, f facts) (why string, ok bool) {
	if f.live == nil || f.template == nil || f.template.GetDeletionTimestamp() != nil || f.ref.Namespace == "" {
		return "", false
	}
	var services v1alpha1.GlobalServiceList
	err := mw.Cache.List(ctx, &services, client.InNamespace(f.ref.Namespace), client.UnsafeDisableDeepCopy)
	if err != nil {
		return "it is not known whether DNS answers still lead here: " + err.Error(), true
	}
	for i := range services.Items {
		if why, ok := isDrainingFor(&services.Items[i], f.ref.String(), string(mw.member.Name())); ok {
			return why, true
		}
	}
	return "", false
}

// isDrainingFor reports whether one GlobalService may still lead clients to a template in a member.
func isDrainingFor(gs *v1alpha1.GlobalService, ref, member string) (why string, ok bool) {
	if gs.DeletionTimestamp != nil || !slices.Contains(gs.Status.Behind, ref) {
		return "", false
	}
	for _, c := range gs.Status.Clusters {
		switch {
		case c.Name != member || c.Drain != nil && c.Drain.Done:
		case c.Drain != nil:
			return "GlobalService " + gs.Name + " is drained from here; " + c.Drain.Message, true
		case c.Health == "Healthy":
			return "GlobalService " + gs.Name + " leads clients here; " + c.Reason, true
		}
	}
	return "", false
}

// waitForDrain records that a copy stays as it is while answers may lead to it.
func (mw *memberWorker) waitForDrain(ctx context.Context, f facts) bool {
	why, ok := mw.isDraining(ctx, f)
	if ok {
		mw.record(f, mw.held(f, v1alpha1.VerdictPending, ReasonStillAnswered, why))
	}
	return ok
}

// isEmptied reports whether the member is to have the object without replicas, and has some.
func (mw *memberWorker) isEmptied(f facts) bool {
	if f.live == nil || f.share.Replicas == nil || *f.share.Replicas > 0 {
		return false
	}
	running, has := mw.Rules.Of(f.live).Replicas(f.live)
	return has && running > 0
}
