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

// lingerWait is how often a copy that stays for a while is looked at; that costs a look into memory.
const lingerWait = time.Second

// lingers tells that DNS answers may still lead to what runs here, and why: then it stays, whatever the decision is. A
// template that is deleted takes its copies along at once, since there is nothing left to lead anybody to.
func (l *lane) lingers(ctx context.Context, f facts) (why string, ok bool) {
	if f.live == nil || f.template == nil || f.template.GetDeletionTimestamp() != nil || f.ref.Namespace == "" {
		return "", false
	}
	var services v1alpha1.GlobalServiceList
	err := l.Cache.List(ctx, &services, client.InNamespace(f.ref.Namespace), client.UnsafeDisableDeepCopy)
	if err != nil {
		return "it is not known whether DNS answers still lead here: " + err.Error(), true
	}
	for i := range services.Items {
		if why, ok := lingersFor(&services.Items[i], f.ref.String(), string(l.member.Name())); ok {
			return why, true
		}
	}
	return "", false
}

// lingersFor tells that one GlobalService may still lead clients to a template in a member.
func lingersFor(gs *v1alpha1.GlobalService, ref, member string) (why string, ok bool) {
	if gs.DeletionTimestamp != nil || !slices.Contains(gs.Status.Behind, ref) {
		return "", false
	}
	for _, c := range gs.Status.Clusters {
		switch {
		case c.Name != member || c.Drain != nil && c.Drain.Done:
		case c.Drain != nil:
			return "GlobalService " + gs.Name + " is led away from here; " + c.Drain.Message, true
		case c.Health == "Healthy":
			return "GlobalService " + gs.Name + " leads clients here; " + c.Reason, true
		}
	}
	return "", false
}

// stays records that a copy stays as it is while answers may lead to it.
func (l *lane) stays(ctx context.Context, f facts) bool {
	why, ok := l.lingers(ctx, f)
	if ok {
		l.record(f, l.held(f, "Pending", ReasonStillAnswered, why))
	}
	return ok
}

// isEmptied tells that the member is to have the object without replicas, and has some.
func (l *lane) isEmptied(f facts) bool {
	if f.live == nil || f.share.Replicas == nil || *f.share.Replicas > 0 {
		return false
	}
	running, has := l.Rules.Of(f.live).Replicas(f.live)
	return has && running > 0
}
