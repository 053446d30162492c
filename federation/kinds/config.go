package kinds

// settled is the health of what works by merely being there.
func settled(map[string]any) (Health, string) { return Healthy, "" }

// plain is a kind that every chosen member gets as it is and that has no status.
func plain(at step) Rule { return Rule{step: at, health: settled, status: []string{}} }

var secretRule = Rule{step: config, health: settled, status: []string{}, clean: cleanSecret}

// cleanSecret: a service account's token is the member's; it is made there anew and signed by that cluster.
func cleanSecret(obj map[string]any) {
	if stringAt(obj, "type") != "kubernetes.io/service-account-token" {
		return
	}
	delete(obj, "data")
	removeAt(obj, "metadata", "annotations", "kubernetes.io/service-account.uid")
}
