package match

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/placement"
)

// Policy translates the spec of a placement into the engine's terms. Errors name the field.
func Policy(spec *v1alpha1.PlacementSpec) (placement.Policy, error) {
	policy := placement.Policy{
		By:        placement.By(spec.By),
		Pack:      placement.Pack(spec.Pack),
		Rebalance: placement.Rebalance(spec.Rebalance),
		Overflow:  placement.Overflow(spec.Overflow),
		Failover:  failover(spec.Failover),
	}
	switch spec.Replicas {
	case v1alpha1.ReplicasDivide:
		policy.Replicas = placement.ModeDivide
	case v1alpha1.ReplicasDuplicate:
		policy.Replicas = placement.ModeDuplicate
	}
	var problems []error
	for i, term := range spec.Clusters {
		compiled, err := clusterTerm(term)
		if err != nil {
			problems = append(problems, fmt.Errorf("spec.clusters[%d]%w", i, err))
		}
		policy.Terms = append(policy.Terms, compiled)
	}
	for _, s := range spec.Spread {
		policy.Spread = append(policy.Spread, placement.Spread{
			By:                s.By,
			Min:               number(s.Min),
			Max:               number(s.Max),
			WhenUnsatisfiable: placement.WhenUnsatisfiable(s.WhenUnsatisfiable),
		})
	}
	for _, t := range spec.Tolerations {
		policy.Tolerations = append(policy.Tolerations, placement.Toleration{
			Key:     t.Key,
			Value:   t.Value,
			Exists:  t.Operator == "Exists" || t.Key == "",
			Effect:  placement.Effect(t.Effect),
			Seconds: t.TolerationSeconds,
		})
	}
	moves, err := maxMoves(spec.MaxMoves)
	if err != nil {
		problems = append(problems, err)
	}
	policy.MaxMoves = moves
	return policy, errors.Join(problems...)
}

func clusterTerm(term v1alpha1.ClusterTerm) (placement.Term, error) {
	compiled := placement.Term{Weight: term.Weight, Min: term.Min, Max: term.Max, Tier: int(term.Tier)}
	switch {
	case term.Name != "":
		compiled.Names = []string{term.Name}
	case term.Selector != nil:
		selector, err := metav1.LabelSelectorAsSelector(term.Selector)
		if err != nil {
			return compiled, fmt.Errorf(".selector: %w", err)
		}
		compiled.Selector = selector
	case term.Expression != "":
		program, err := placement.CompileSelector(term.Expression)
		if err != nil {
			return compiled, fmt.Errorf(".expression: %w", err)
		}
		compiled.Expression = program
	}
	return compiled, nil
}

func number(n *int32) *int {
	if n == nil {
		return nil
	}
	wide := int(*n)
	return &wide
}

func failover(f *v1alpha1.Failover) placement.Failover {
	switch {
	case f == nil:
		return placement.Failover{}
	case f.Disabled:
		return placement.Failover{After: -1, ComeBack: f.ComeBack}
	case f.After == nil:
		return placement.Failover{ComeBack: f.ComeBack}
	}
	return placement.Failover{After: max(f.After.Duration, time.Millisecond), ComeBack: f.ComeBack}
}

func maxMoves(m *intstr.IntOrString) (*placement.Moves, error) {
	switch {
	case m == nil:
		return nil, nil
	case m.Type == intstr.Int:
		return &placement.Moves{Number: int64(m.IntVal)}, nil
	}
	percent, err := strconv.ParseInt(strings.TrimSuffix(m.StrVal, "%"), 10, 64)
	if err != nil || !strings.HasSuffix(m.StrVal, "%") || percent < 1 || percent > 100 {
		return nil, fmt.Errorf("spec.maxMoves: %q is neither a number nor a percentage from 1%% to 100%%", m.StrVal)
	}
	return &placement.Moves{Percent: percent}, nil
}
