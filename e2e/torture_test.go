package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
	"github.com/hanse-federation/hanse/e2e/harness"
)

var (
	tortureTime = flag.Duration("torture", 30*time.Second, "how long TestTorture goes on")
	tortureSeed = flag.Uint64("torture-seed", 0, "what TestTorture does, as far as time lets it (0: anything)")
)

// torture is a federation in which several hands do what they like.
type torture struct {
	*scenario
	client     client.Client // of the hub, also of the next one after a kill: address and certificates stay
	foreigners sync.Map      // stamps by member/name
	done       map[string]*atomic.Int64
}

// names of the objects; those of ConfigMaps and of Deployments are the same.
func (w *torture) name(r *rand.Rand) string { return fmt.Sprintf("object-%02d", r.IntN(16)) }

// anchor is an object that nobody touches; it keeps the namespace in the members.
const anchor = "anchor"

// Random writes at the hub, random edits, deletions and foreign objects in the members, and kills of both. When it ends
// and all is up again, what must always hold holds, as the API servers tell it.
func TestTorture(t *testing.T) {
	w := &torture{scenario: own(t, harness.HubOptions{}, "red", "green", "blue"), done: map[string]*atomic.Int64{}}
	w.client = w.hub.Client
	seed := *tortureSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-torture-seed %d", seed)
	w.create(annotated(w.ns, anchor, "*=1"))
	for _, m := range w.members {
		awaitThere[corev1.ConfigMap](w.scenario, anchor, m.Name())
	}

	ctx, cancel := context.WithTimeout(t.Context(), *tortureTime)
	defer cancel()
	hands := map[string]func(context.Context, *rand.Rand) (string, error){
		"user 1": w.user, "user 2": w.user, "red": w.meddle("red"), "green": w.meddle("green"), "blue": w.meddle("blue"),
	}
	for _, what := range []string{"create", "change", "move", "delete", "drift", "loss", "foreign",
		"hub killed", "member killed", "member hung"} {
		w.done[what] = &atomic.Int64{}
	}
	var group sync.WaitGroup
	for i, name := range slices.Sorted(maps.Keys(hands)) {
		group.Go(func() { w.act(ctx, rand.New(rand.NewPCG(seed, uint64(i))), 20*time.Millisecond, hands[name]) })
	}
	group.Go(func() { w.breakThings(ctx, rand.New(rand.NewPCG(seed, 99))) })
	group.Wait()
	for _, what := range slices.Sorted(maps.Keys(w.done)) {
		t.Logf("%-14s %d", what, w.done[what].Load())
	}

	// The last blow: a hub that is started again knows of nobody whom it should not fight over a field.
	w.must(w.hub.Kill())
	w.must(w.hub.Start(t.Context()))
	begin := time.Now()
	harness.EventuallyWithin(t, 2*time.Minute, "what must hold holds", w.check)
	t.Logf("all is in order %s after the last blow", time.Since(begin).Round(100*time.Millisecond))

	// The same input gives the same decision, also after a restart, and nothing is written that is written already.
	w.awaitQuiet()
	before := w.copies()
	w.must(w.hub.Kill())
	w.must(w.hub.Start(t.Context()))
	w.awaitQuiet()
	if difference := changes(before, w.copies()); difference != "" {
		t.Errorf("a restart changed in the members:\n%s", difference)
	}
	w.must(w.check())

	// And when all is taken back, nothing of ours stays, and all of the others does.
	for _, obj := range []client.Object{&corev1.ConfigMap{}, &appsv1.Deployment{}} {
		w.must(w.hub.Client.DeleteAllOf(t.Context(), obj, client.InNamespace(w.ns)))
	}
	w.eventually("nothing of ours is left", w.check)
}

// act does one thing after the other. What fails because somebody is away is not done.
func (w *torture) act(
	ctx context.Context, r *rand.Rand, pause time.Duration, hand func(context.Context, *rand.Rand) (string, error),
) {
	for ctx.Err() == nil {
		once, cancel := context.WithTimeout(ctx, 5*time.Second)
		if what, err := hand(once, r); err == nil {
			w.done[what].Add(1)
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(r.Int64N(int64(2 * pause)))):
		}
	}
}

// line is a random placement: some of the members, with some weights.
func (w *torture) line(r *rand.Rand) string {
	var terms []string
	for _, m := range w.members {
		if r.IntN(3) > 0 {
			terms = append(terms, fmt.Sprintf("%s=%d", m.Name(), 1+r.IntN(3)))
		}
	}
	if len(terms) == 0 {
		return "*=1"
	}
	return strings.Join(terms, ",")
}

// user does one thing at the hub.
func (w *torture) user(ctx context.Context, r *rand.Rand) (string, error) {
	hub := w.client
	key := client.ObjectKey{Namespace: w.ns, Name: w.name(r)}
	// All templates have the same field, which members then change: one that a template did not set would stay theirs.
	c := annotated(w.ns, key.Name, w.line(r))
	c.Data = map[string]string{"value": fmt.Sprint(r.Int())}
	var obj client.Object = c
	if r.IntN(2) == 0 {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: key.Name,
			Annotations: map[string]string{v1alpha1.ClustersAnnotation: w.line(r)}}}
		replicas := r.Int32N(30)
		labels := map[string]string{"app": key.Name}
		d.Spec.Replicas, d.Spec.Selector = &replicas, &metav1.LabelSelector{MatchLabels: labels}
		d.Spec.Template.Labels = labels
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Image: cluster.WebImage}}
		obj = d
	}
	present := obj.DeepCopyObject().(client.Object)
	switch err := hub.Get(ctx, key, present); {
	case apierrors.IsNotFound(err):
		return "create", hub.Create(ctx, obj)
	case err != nil:
		return "", err
	}
	switch what := r.IntN(6); {
	case what == 0:
		return "delete", hub.Delete(ctx, present)
	case what <= 2:
		before := present.DeepCopyObject().(client.Object)
		present.SetAnnotations(map[string]string{v1alpha1.ClustersAnnotation: w.line(r)})
		return "move", hub.Patch(ctx, present, client.MergeFrom(before))
	}
	switch o := present.(type) {
	case *corev1.ConfigMap:
		o.Data = map[string]string{"value": fmt.Sprint(r.Int())}
	case *appsv1.Deployment:
		*o.Spec.Replicas = r.Int32N(30)
	}
	return "change", hub.Update(ctx, present)
}

// meddle does one thing in a member, past the hub.
func (w *torture) meddle(name string) func(context.Context, *rand.Rand) (string, error) {
	m := w.member(name)
	return func(ctx context.Context, r *rand.Rand) (string, error) {
		var obj client.Object = &corev1.ConfigMap{}
		if r.IntN(2) == 0 {
			obj = &appsv1.Deployment{}
		}
		key := client.ObjectKey{Namespace: w.ns, Name: w.name(r)}
		err := m.Client.Get(ctx, key, obj)
		if apierrors.IsNotFound(err) && r.IntN(8) == 0 {
			return "foreign", w.settle(ctx, m, key)
		}
		if err != nil {
			return "", err
		}
		if obj.GetLabels()[v1alpha1.HubLabel] == "" { // a foreign one is left alone, so that touching shows
			return "", errors.New("foreign")
		}
		if r.IntN(2) == 0 {
			uid := obj.GetUID()
			return "loss", m.Client.Delete(ctx, obj, client.Preconditions{UID: &uid})
		}
		switch o := obj.(type) {
		case *corev1.ConfigMap:
			o.Data = map[string]string{"value": "drifted"}
		case *appsv1.Deployment:
			*o.Spec.Replicas = 99
		}
		return "drift", m.Client.Update(ctx, obj)
	}
}

// settle puts an object of somebody else into a member.
func (w *torture) settle(ctx context.Context, m *harness.Member, key client.ObjectKey) error {
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Data: map[string]string{"of": "somebody else"}}
	if err := m.Client.Create(ctx, foreign); err != nil {
		return err
	}
	w.foreigners.Store(m.Name()+"/"+key.Name, stamp{foreign.UID, foreign.ResourceVersion})
	return nil
}

// breakThings kills the hub, and kills or freezes members, one after the other.
func (w *torture) breakThings(ctx context.Context, r *rand.Rand) {
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(r.Int64N(int64(3 * time.Second)))):
		}
		m := w.members[r.IntN(len(w.members))]
		length := time.Duration(r.Int64N(int64(3 * time.Second)))
		var what string
		var err error
		switch turn % 3 {
		case 0:
			what = "hub killed"
			err = errors.Join(w.hub.Kill(), w.hub.Start(context.WithoutCancel(ctx)))
		case 1:
			what = "member killed"
			err = m.Kill(apiServer())
			time.Sleep(length)
			err = errors.Join(err, m.Start(apiServer()))
		default:
			what = "member hung"
			err = m.Pause(apiServer())
			time.Sleep(length)
			err = errors.Join(err, m.Resume(apiServer()))
		}
		if err != nil {
			w.Errorf("%s: %v", what, err)
			return
		}
		w.done[what].Add(1)
	}
}

// check reads the API servers and nothing else, and says what does not hold.
func (w *torture) check() error {
	e, err := w.gather()
	if err != nil {
		return err
	}
	faults := e.judge()
	if len(faults) > 8 {
		faults = append(faults[:8], fmt.Errorf("and %d more", len(faults)-8))
	}
	return errors.Join(faults...)
}

// gather reads all that is judged.
func (w *torture) gather() (evidence, error) {
	e := evidence{members: map[string]belongings{}, foreigners: map[string]stamp{}}
	lists := []client.ObjectList{&e.templates.configMaps, &e.templates.deployments, &e.distributions}
	for _, list := range lists {
		if err := w.client.List(w.Context(), list, client.InNamespace(w.ns)); err != nil {
			return e, err
		}
	}
	for _, m := range w.members {
		var b belongings
		for _, list := range []client.ObjectList{&b.configMaps, &b.deployments} {
			if err := m.Client.List(w.Context(), list, client.InNamespace(w.ns)); err != nil {
				return e, err
			}
		}
		e.members[m.Name()] = b
	}
	w.foreigners.Range(func(at, was any) bool {
		e.foreigners[at.(string)] = was.(stamp)
		return true
	})
	return e, nil
}
