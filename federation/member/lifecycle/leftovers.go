package lifecycle

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/member/orphans"
	"github.com/hanse-federation/hanse/federation/template"
)

// Leftovers tells on each Cluster what carries our mark in the member and has no Distribution any more, and does with
// it what somebody asks for.
type Leftovers struct {
	// Client writes Clusters, and reads them and the Distributions from the cache.
	Client client.Client
	Fleet  *member.Fleet
	// Hub is the hub's identity in the marks of members' objects.
	Hub    apply.Hub
	Logger *slog.Logger
	Now    func() time.Time

	mu    sync.Mutex
	looks map[string]*look
}

// look is what is remembered of one member. Only the worker that has the member touches it, but for asked.
type look struct {
	ready time.Time // since when the member can be worked with
	last  time.Time // when all of it was seen
	asked time.Time // when somebody had reason to look again; guarded by Leftovers.mu
	job   *job
	// isRefused: the last request was about another list.
	isRefused bool
	// problems are why objects still are there whose removal was asked for.
	problems map[types.UID]string
}

// job is a request that is being carried out.
type job struct {
	way        orphans.Way
	objects    map[types.UID]bool
	namespaces map[string]bool // to be looked at when the objects have gone
	passes     int
}

const (
	// lookAfter a member can be worked with: there is other work first.
	lookAfter = 10 * time.Second
	// readyPause comes between two questions whether it can, which ask nobody.
	readyPause = 3 * time.Second
	// lookAgain is how often is looked when nothing hints at leftovers, and lookRetry how soon after a failure.
	lookAgain, lookRetry = time.Hour, 2 * time.Minute
	// lookSoon lets the hub come to rest after a Distribution was lost.
	lookSoon = 2 * time.Second
	// lookPatience bounds one look with what follows from it.
	lookPatience = time.Minute
	// jobPause comes between two passes of a job, and jobPasses is how many there are.
	jobPause, jobPasses = 2 * time.Second, 60
)

// Reconcile looks into one member when it is time to.
func (l *Leftovers) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cluster := &v1alpha1.Cluster{}
	if err := l.Client.Get(ctx, request.NamespacedName, cluster); err != nil {
		l.forget(request.Name)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	k, now := l.lookOf(cluster.Name), l.Now()
	m, ok := l.Fleet.Get(member.Name(cluster.Name))
	if !ok || !m.State().IsReady() {
		k.ready = time.Time{}
		return reconcile.Result{RequeueAfter: readyPause}, nil
	}
	if k.ready.IsZero() {
		k.ready = now
	}
	if wait := l.wait(k, cluster, now); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	found, err := orphans.Find(ctx, m, l.Hub, l.isKnown(ctx, cluster.Name))
	if err != nil {
		l.Logger.Warn("looking for what is left over in a member", "member", cluster.Name, "error", err)
		return reconcile.Result{RequeueAfter: lookRetry}, nil
	}
	l.seen(k, now)
	if !cluster.Spec.Paused {
		l.settle(ctx, m, cluster, k, found)
	}
	if err := l.report(ctx, cluster, k, found); err != nil {
		return again(err, "writing what is left over in cluster "+cluster.Name)
	}
	if k.job != nil {
		return reconcile.Result{RequeueAfter: jobPause}, nil
	}
	return reconcile.Result{RequeueAfter: l.wait(k, cluster, now)}, l.close(ctx, cluster)
}

// wait is how long until it is time to look into a member that is ready.
func (l *Leftovers) wait(k *look, cluster *v1alpha1.Cluster, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := k.ready.Add(lookAfter)
	if !k.last.IsZero() {
		due = k.last.Add(lookAgain)
	}
	if k.asked.After(k.last) && k.asked.Add(lookSoon).Before(due) {
		due = k.asked.Add(lookSoon)
	}
	_, isAsked := cluster.Annotations[v1alpha1.LeftoversAnnotation]
	switch {
	case isAsked && !cluster.Spec.Paused || k.job != nil:
		due = k.last.Add(jobPause)
	case cluster.DeletionTimestamp != nil:
		due = k.last.Add(lookAfter)
	}
	return max(0, due.Sub(now))
}

// isKnown tells what the Distributions of the hub answer for in a member.
func (l *Leftovers) isKnown(ctx context.Context, name string) orphans.IsKnown {
	return func(ref template.Ref, made types.UID) bool { return isKnown(ctx, l.Client, name, ref, made) }
}

// isKnown reports whether a Distribution answers for a copy: it names the member, or it is of the very template, and
// the copy goes by itself.
func isKnown(ctx context.Context, hub client.Reader, name string, ref template.Ref, made types.UID) bool {
	namespace, called := ref.Distribution()
	d := &v1alpha1.Distribution{}
	err := hub.Get(ctx, client.ObjectKey{Namespace: namespace, Name: called}, d)
	if apierrors.IsNotFound(err) || err == nil && template.RefOfDistribution(d) != ref {
		return false
	}
	return err != nil || d.Spec.Template.UID == made || names(d, name) // what cannot be read is not doubted
}

// names reports whether a Distribution is, or was, about the member.
func names(d *v1alpha1.Distribution, name string) bool {
	isChosen := slices.ContainsFunc(d.Spec.Clusters, func(c v1alpha1.DistributionCluster) bool { return c.Name == name })
	return isChosen || slices.Contains(d.Spec.Leaving, name)
}

// settle does the next of what was asked for.
func (l *Leftovers) settle(
	ctx context.Context, m *member.Member, cluster *v1alpha1.Cluster, k *look, found []orphans.Object,
) {
	if k.job == nil {
		_, isAsked := cluster.Annotations[v1alpha1.LeftoversAnnotation]
		k.job = accept(cluster, found)
		k.isRefused = isAsked && k.job == nil || k.isRefused && !isAsked
		if k.job == nil {
			return
		}
		k.problems = map[types.UID]string{}
		l.Logger.Info("settling what is left over in a member", "member", cluster.Name, "objects", len(found), "way",
			string(k.job.way))
	}
	k.job.passes++
	isDone := true
	for _, o := range found {
		if !k.job.objects[o.UID] {
			continue
		}
		result := orphans.Settle(ctx, m, l.Hub, o, k.job.way)
		k.problems[o.UID] = result.Message
		switch {
		case result.Reason == apply.ReasonKept, result.Verdict == apply.Deleted:
			delete(k.problems, o.UID)
		case result.Verdict != apply.Skipped: // what is skipped stays
			isDone = false
		}
		if result.Verdict == apply.Deleted && o.Namespace != "" {
			k.job.namespaces[o.Namespace] = true
			isDone = false // what follows from it, and whether it is true, shows the next look
		}
	}
	if isDone && l.cleanNamespaces(ctx, m, cluster.Name, k.job) || k.job.passes >= jobPasses {
		k.job = nil
	}
}

// accept reads what somebody asks for; nil when nobody does, or when it was asked of another list.
func accept(cluster *v1alpha1.Cluster, found []orphans.Object) *job {
	j := &job{objects: map[types.UID]bool{}, namespaces: map[string]bool{}}
	request, isValid := orphans.ParseRequest(cluster.Annotations[v1alpha1.LeftoversAnnotation])
	isOrphaned := cluster.DeletionTimestamp != nil &&
		cluster.Annotations[v1alpha1.OnDeleteAnnotation] == string(v1alpha1.OrphanCopies)
	switch {
	case len(found) == 0:
		return nil
	case isValid && request.Digest == orphans.Digest(found):
		j.way = request.Way
	case isOrphaned:
		j.way = orphans.Release
	default:
		return nil
	}
	for _, o := range found {
		j.objects[o.UID] = true
	}
	return j
}

// cleanNamespaces removes the namespaces that we made for what has gone, unless something else is in them. It is done
// when it returns true.
func (l *Leftovers) cleanNamespaces(ctx context.Context, m *member.Member, name string, j *job) bool {
	var all v1alpha1.DistributionList
	for namespace := range j.namespaces {
		err := l.Client.List(ctx, &all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy)
		isUsed := err != nil || slices.ContainsFunc(all.Items, func(d v1alpha1.Distribution) bool { return names(&d, name) })
		if isUsed || apply.RemoveNamespaceIfOursAndEmpty(ctx, m, l.Hub, namespace).Done() {
			delete(j.namespaces, namespace)
		}
	}
	return len(j.namespaces) == 0
}

// close takes a request off that was carried out, or that is about another list.
func (l *Leftovers) close(ctx context.Context, cluster *v1alpha1.Cluster) error {
	if _, isAsked := cluster.Annotations[v1alpha1.LeftoversAnnotation]; !isAsked || cluster.Spec.Paused {
		return nil
	}
	before := cluster.DeepCopy()
	delete(cluster.Annotations, v1alpha1.LeftoversAnnotation)
	err := l.Client.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsConflict(err) {
		return nil // it is seen again
	}
	return client.IgnoreNotFound(err)
}

// report writes what is left over, if it differs from what is stored.
func (l *Leftovers) report(ctx context.Context, cluster *v1alpha1.Cluster, k *look, found []orphans.Object) error {
	status := *cluster.Status.DeepCopy()
	status.Leftovers = summary(found, k.problems)
	if status.Leftovers == nil {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ClusterConditionLeftovers)
	} else {
		message := fmt.Sprintf("%d objects here carry the mark of this hub, which knows nothing of them, such as %s; "+
			"they run on; hanse leftovers %s says what can be done", len(found), found[0], cluster.Name)
		if k.isRefused {
			message += "; the last request was about another list, and nothing was done"
		}
		message = printable.Line(message, 2<<10)
		meta.SetStatusCondition(&status.Conditions, metav1.Condition{
			Type: v1alpha1.ClusterConditionLeftovers, Status: metav1.ConditionTrue, Reason: "Forgotten", Message: message,
			ObservedGeneration: cluster.Generation, LastTransitionTime: metav1.NewTime(l.Now().Truncate(time.Second)),
		})
	}
	if sameStatus(cluster.Status, status) {
		return nil
	}
	cluster.Status = status
	return l.Client.Status().Update(ctx, cluster)
}

// summary is what the status says of leftovers.
func summary(found []orphans.Object, problems map[types.UID]string) *v1alpha1.Leftovers {
	if len(found) == 0 {
		return nil
	}
	s := &v1alpha1.Leftovers{Count: int32(len(found)), Digest: orphans.Digest(found)}
	for _, o := range found[:min(len(found), v1alpha1.MaxLeftovers)] {
		s.Objects = append(s.Objects, v1alpha1.LeftoverReference{
			APIVersion: o.GVK.GroupVersion().String(), Kind: o.GVK.Kind, Namespace: o.Namespace, Name: o.Name,
			Message: problems[o.UID],
		})
	}
	return s
}

func (l *Leftovers) lookOf(name string) *look {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looks == nil {
		l.looks = map[string]*look{}
	}
	if l.looks[name] == nil {
		l.looks[name] = &look{}
	}
	return l.looks[name]
}

func (l *Leftovers) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.looks, name)
}

// seen remembers that all of a member was looked at.
func (l *Leftovers) seen(k *look, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k.last = now
}

// ask has a member looked into soon.
func (l *Leftovers) ask(name string) {
	k := l.lookOf(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	k.asked = l.Now()
}
