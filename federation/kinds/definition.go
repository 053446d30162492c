package kinds

import "slices"

// definition is the CustomResourceDefinition.
var definition = Rule{
	step:      definitions,
	clean:     cleanDefinition,
	status:    []string{"conditions", "storedVersions"},
	health:    definitionHealth,
	aggregate: aggregateDefinition,
}

func cleanDefinition(obj map[string]any) {
	if isInjected(obj) {
		removeAt(obj, "spec", "conversion", "webhook", "clientConfig", "caBundle")
	}
}

func definitionHealth(obj map[string]any) (Health, string) {
	status := mapAt(obj, "status")
	if c, found := findCondition(status, "NamesAccepted"); found && c.Status == isFalse {
		return Degraded, because(c)
	}
	if !hasCondition(status, "Established", isTrue) {
		return Progressing, "is not established yet"
	}
	return Healthy, ""
}

// EstablishedInMembers is the condition that a CustomResourceDefinition on the hub carries beside its own
// Established.
const EstablishedInMembers = "EstablishedInMembers"

// aggregateDefinition leaves the hub's own conditions alone: the hub serves the kind itself by them, and must
// not stop because a member is slow. What the members say is one condition more.
func aggregateDefinition(in aggregation) map[string]any {
	if len(in.collected()) == 0 || in.previous == nil {
		return nil
	}
	c := condition{Type: EstablishedInMembers, Status: isTrue, Reason: "Established"}
	missing := in.clusters(func(m MemberStatus) bool { return !hasCondition(m.Status, "Established", isTrue) })
	if len(missing) > 0 {
		c.Status, c.Reason, c.Message = isFalse, "NotEstablished", "not established in "+list(missing)
	}
	status := copied(in.previous).(map[string]any)
	kept := slices.DeleteFunc(listAt(status, "conditions"), func(element any) bool {
		old, _ := element.(map[string]any)
		return conditionType(old) == EstablishedInMembers
	})
	status["conditions"] = append(kept, in.conditions(noMoment, c)...)
	return status
}
