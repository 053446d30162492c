package kinds

// settled is the health of what works by merely being there.
func settled(map[string]any) (Health, string) { return Healthy, "" }

// plain is a kind that every chosen member gets as it is and that has no status.
func plain(at step) Rule { return Rule{step: at, health: settled, status: []string{}} }

var configMapRule = Rule{step: config, health: settled, status: []string{}, modeOf: configMapMode}

// configMapMode: every namespace of every cluster has its own root certificates.
func configMapMode(obj map[string]any) Mode {
	if stringAt(obj, "metadata", "name") == "kube-root-ca.crt" {
		return Local
	}
	return Duplicate
}

var secretRule = Rule{step: config, health: settled, status: []string{}, modeOf: secretMode, clean: cleanSecret,
	refs: secretRefs}

// secretMode: a Helm release is the record of what was installed on the hub, with every value that was given; it is
// of no use to a member.
func secretMode(obj map[string]any) Mode {
	if stringAt(obj, "type") == "helm.sh/release.v1" {
		return Local
	}
	return Duplicate
}

// secretRefs: a token is made for an account, and a member refuses the Secret without it.
func secretRefs(obj map[string]any, namespace string) []Ref {
	name := stringAt(obj, "metadata", "annotations", "kubernetes.io/service-account.name")
	if stringAt(obj, "type") != "kubernetes.io/service-account-token" || name == "" {
		return nil
	}
	return []Ref{{GroupKind: account, Namespace: namespace, Name: name}}
}

// cleanSecret: a service account's token is the member's; it is made there anew and signed by that cluster.
func cleanSecret(obj map[string]any) {
	if stringAt(obj, "type") != "kubernetes.io/service-account-token" {
		return
	}
	delete(obj, "data")
	removeAt(obj, "metadata", "annotations", "kubernetes.io/service-account.uid")
}
