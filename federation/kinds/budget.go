package kinds

import (
	"fmt"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// budget is the PodDisruptionBudget.
var budget = Rule{
	step:    scalers,
	mode:    Follows,
	follows: budgetTarget,
	numbers: budgetNumbers,
	status: []string{"observedGeneration", "disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods",
		"conditions"},
	health: func(obj map[string]any) (Health, string) {
		current, desired := intOr(obj, 0, "status", "currentHealthy"), intOr(obj, 0, "status", "desiredHealthy")
		if current < desired {
			return Progressing, fmt.Sprintf("%d of %d pods are healthy", current, desired)
		}
		return Healthy, ""
	},
	aggregate: aggregateBudget,
}

func budgetTarget(obj map[string]any, _ string) (Target, bool) {
	selector, is := typed[metav1.LabelSelector](mapAt(obj, "spec", "selector"))
	if !is {
		return Target{}, false // without a selector it selects nothing
	}
	return Target{Selector: &selector}, true
}

// budgetNumbers: a member whose maxUnavailable came to zero could never be drained, which is worse than one pod more.
func budgetNumbers(obj map[string]any) []Number {
	return append(wholeNumber(obj, 0, "spec", "minAvailable"), wholeNumber(obj, 1, "spec", "maxUnavailable")...)
}

func aggregateBudget(in aggregation) map[string]any {
	if len(in.collected()) == 0 {
		return nil
	}
	allowed := in.sum32("disruptionsAllowed")
	status := untyped(&policyv1.PodDisruptionBudgetStatus{
		ObservedGeneration: in.observedGeneration(),
		DisruptionsAllowed: allowed,
		CurrentHealthy:     in.sum32("currentHealthy"),
		DesiredHealthy:     in.sum32("desiredHealthy"),
		ExpectedPods:       in.sum32("expectedPods"),
	})
	c := condition{Type: policyv1.DisruptionAllowedCondition, Status: isTrue, Reason: policyv1.SufficientPodsReason}
	if allowed == 0 {
		c.Status, c.Reason = isFalse, policyv1.InsufficientPodsReason
	}
	written := in.conditions(noMoment, c)
	written[0].(map[string]any)["message"] = "" // required by the schema
	status["conditions"] = written
	return status
}
