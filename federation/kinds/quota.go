package kinds

import (
	"slices"
	"strings"
)

// quota is the ResourceQuota: a limit for the federation. What pods take is divided over the members; what counts other
// objects is copied, since an object that is counted once on the hub is one object in every member that has it.
var quota = Rule{
	step: quotas,
	mode: Divide,
	numbers: func(obj map[string]any) []Number {
		return slices.DeleteFunc(quantities(obj, "spec", "hard"), func(n Number) bool { return countsObjects(n.Key) })
	},
	status:    []string{"hard", "used"},
	health:    settled,
	aggregate: aggregateQuota,
}

// countsObjects reports whether a resource of a quota is a number of objects other than pods. The key is a number's, or
// the resource's own name.
func countsObjects(key string) bool {
	name := strings.TrimSuffix(strings.TrimPrefix(key, "spec.hard["), "]")
	if counted, isCount := strings.CutPrefix(name, "count/"); isCount {
		return counted != "pods"
	}
	switch name {
	case "configmaps", "secrets", "services", "services.loadbalancers", "services.nodeports", "persistentvolumeclaims",
		"replicationcontrollers", "resourcequotas":
		return true
	}
	return strings.HasSuffix(name, "/persistentvolumeclaims")
}

func aggregateQuota(in aggregation) map[string]any {
	collected := in.collected()
	if len(collected) == 0 {
		return nil
	}
	hard, used := mapAt(in.template, "spec", "hard"), map[string]any{}
	for _, member := range collected {
		for name := range mapAt(member.Status, "used") {
			used[name] = in.quantitySum(name)
			if countsObjects(name) {
				used[name] = in.quantityMost(name)
			}
		}
	}
	return map[string]any{"hard": copied(orEmpty(hard)), "used": used}
}

// quantitySum adds what all members use of a resource.
func (in aggregation) quantitySum(name string) string {
	total, _ := parseQuantity(int64(0))
	for _, member := range in.members {
		value, _ := at(member.Status, "used", name)
		if quantity, is := parseQuantity(value); is {
			if total.IsZero() {
				total = quantity
				continue
			}
			total.Add(quantity)
		}
	}
	return total.String()
}

// quantityMost is what the member uses that uses the most.
func (in aggregation) quantityMost(name string) string {
	most, _ := parseQuantity(int64(0))
	for _, member := range in.members {
		value, _ := at(member.Status, "used", name)
		if quantity, is := parseQuantity(value); is && quantity.Cmp(most) > 0 {
			most = quantity
		}
	}
	return most.String()
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
