package kinds

// quota is the ResourceQuota: a limit for the federation, of which every member gets its part.
var quota = Rule{
	step:      quotas,
	mode:      Divide,
	numbers:   func(obj map[string]any) []Number { return quantities(obj, "spec", "hard") },
	status:    []string{"hard", "used"},
	health:    settled,
	aggregate: aggregateQuota,
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

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
