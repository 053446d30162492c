package kinds

import (
	"slices"
	"strings"
)

var serviceRule = Rule{
	step:      services,
	clean:     cleanService,
	status:    []string{"loadBalancer", "conditions"},
	keep:      [][]string{{"spec", "type"}},
	health:    serviceHealth,
	aggregate: aggregateService,
	assign:    assignAddress,
}

// EverywhereIP stands in spec.clusterIP of a template of type LoadBalancer once every member has an address for it:
// each member has a cluster IP of its own, and the hub has none, but tools that wait for a Service (kstatus, and with
// it helm --wait and Flux) wait for the field. It is of 240.0.0.0/4, which RFC 1112 reserves and nobody routes, so that
// it can be taken for nobody's address, and it is never sent to a member.
const EverywhereIP = "240.0.0.1"

// assignAddress says that the Service is served wherever it is to be.
func assignAddress(in aggregation) map[string]any {
	isServed := func(m MemberStatus) bool {
		return m.Known && m.TemplateGeneration >= in.generation() && hasAddress(m.Status)
	}
	if isType := stringAt(in.template, "spec", "type"); isType != "LoadBalancer" &&
		stringAt(in.template, "spec", "clusterIP") == EverywhereIP {
		return map[string]any{"spec": map[string]any{"clusterIP": nil, "clusterIPs": nil}} // it was one before
	}
	if stringAt(in.template, "spec", "type") != "LoadBalancer" || stringAt(in.template, "spec", "clusterIP") != "" ||
		len(in.members) == 0 || len(in.clusters(isServed)) < len(in.members) {
		return nil
	}
	return map[string]any{"spec": map[string]any{"clusterIP": EverywhereIP, "clusterIPs": []any{EverywhereIP}}}
}

// cleanService removes the address that the hub itself sets. All others, and the ports, are the user's wish: the hub
// allocates none.
func cleanService(obj map[string]any) {
	if stringAt(obj, "spec", "clusterIP") == EverywhereIP {
		removeAt(obj, "spec", "clusterIP")
		removeAt(obj, "spec", "clusterIPs")
	}
}

func serviceHealth(obj map[string]any) (Health, string) {
	if stringAt(obj, "spec", "type") == "LoadBalancer" && !hasAddress(mapAt(obj, "status")) {
		return Progressing, "waits for a load balancer address"
	}
	return Healthy, ""
}

func hasAddress(status map[string]any) bool {
	return len(mapsAt(status, "loadBalancer", "ingress")) > 0
}

func aggregateService(in aggregation) map[string]any {
	if stringAt(in.template, "spec", "type") != "LoadBalancer" {
		if !hasAddress(in.previous) {
			return nil
		}
		status := copied(in.previous).(map[string]any) // it was one before
		status["loadBalancer"] = map[string]any{}
		return status
	}
	return in.unitedAddresses()
}

// unitedAddresses is the status of what has load balancer addresses, each once and sorted.
func (in aggregation) unitedAddresses() map[string]any {
	all := in.united(addressKey, "loadBalancer", "ingress")
	if len(all) == 0 {
		return map[string]any{"loadBalancer": map[string]any{}}
	}
	return map[string]any{"loadBalancer": map[string]any{"ingress": all}}
}

func addressKey(entry map[string]any) string {
	return stringAt(entry, "ip") + "|" + stringAt(entry, "hostname")
}

// united joins lists of objects over the members: one of each key, sorted by it.
func (in aggregation) united(key func(map[string]any) string, path ...string) []any {
	var all []map[string]any
	for _, member := range in.members {
		all = append(all, mapsAt(member.Status, path...)...)
	}
	slices.SortStableFunc(all, func(a, b map[string]any) int { return strings.Compare(key(a), key(b)) })
	all = slices.CompactFunc(all, func(a, b map[string]any) bool { return key(a) == key(b) })
	united := make([]any, len(all))
	for i, entry := range all {
		united[i] = copied(entry)
	}
	return united
}
