package rules

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Reporter tells, in the status of a KindRule, whether the hub goes by it.
type Reporter struct {
	// Client writes the status and reads from the cache.
	Client client.Client
	Book   *Book
	// Now is the clock.
	Now func() time.Time
}

var _ reconcile.Reconciler = &Reporter{}

// SetUp adds the reporter to the manager.
func (r *Reporter) SetUp(mgr manager.Manager) error {
	err := builder.ControllerManagedBy(mgr).Named("kindrules").
		For(&v1alpha1.KindRule{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the reports on KindRules: %w", err)
	}
	return nil
}

// Reconcile brings the status of one rule up to date. It may run before the book has read the rule, and compiles it
// itself.
func (r *Reporter) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	rule := &v1alpha1.KindRule{}
	if err := r.Client.Get(ctx, request.NamespacedName, rule); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	status := r.status(rule)
	if equality.Semantic.DeepEqual(rule.Status, status) {
		return reconcile.Result{}, nil
	}
	rule = rule.DeepCopy()
	rule.Status = status
	err := r.Client.Status().Update(ctx, rule)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return reconcile.Result{RequeueAfter: time.Second}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("writing the status of KindRule %s: %w", rule.Name, err)
	}
	return reconcile.Result{}, nil
}

func (r *Reporter) status(rule *v1alpha1.KindRule) v1alpha1.KindRuleStatus {
	status := *rule.Status.DeepCopy()
	status.ObservedGeneration = rule.Generation
	c := metav1.Condition{
		Type: v1alpha1.KindRuleInForce, Status: metav1.ConditionTrue, Reason: "Compiled",
		Message:            "the hub goes by this rule",
		ObservedGeneration: rule.Generation,
		LastTransitionTime: metav1.NewTime(r.Now().Truncate(time.Second)),
	}
	if r.Book.IsShipped(KindOf(rule)) {
		c.Reason, c.Message = "ReplacesShipped", "the hub goes by this rule, and no longer by the one that it ships"
	}
	if _, err := Compile(&rule.Spec); err != nil {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, "DoesNotCompile", err.Error()
	}
	c.Message = printable.Text(c.Message)
	meta.SetStatusCondition(&status.Conditions, c)
	return status
}
