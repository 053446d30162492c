package kinds

var ingress = Rule{
	step:      routes,
	refs:      ingressRefs,
	status:    []string{"loadBalancer"},
	health:    ingressHealth,
	aggregate: func(in aggregation) map[string]any { return in.unitedAddresses() },
}

// ingressRefs are the certificates and the services behind the rules.
func ingressRefs(obj map[string]any, namespace string) []Ref {
	var refs []Ref
	backend := func(in map[string]any, path ...string) {
		if name := stringAt(mapAt(in, path...), "service", "name"); name != "" {
			refs = append(refs, Ref{GroupKind: service, Namespace: namespace, Name: name})
		}
	}
	for _, tls := range mapsAt(obj, "spec", "tls") {
		if name := stringAt(tls, "secretName"); name != "" {
			// Optional: a certificate manager in the member may be the one to write it.
			refs = append(refs, Ref{GroupKind: secret, Namespace: namespace, Name: name, Optional: true})
		}
	}
	backend(obj, "spec", "defaultBackend")
	for _, rule := range mapsAt(obj, "spec", "rules") {
		for _, path := range mapsAt(rule, "http", "paths") {
			backend(path, "backend")
		}
	}
	return refs
}

func ingressHealth(obj map[string]any) (Health, string) {
	if !hasAddress(mapAt(obj, "status")) {
		return Progressing, "waits for an address"
	}
	return Healthy, ""
}
