package kinds

// webhook serves the two kinds of admission webhook configuration.
var webhook = Rule{step: webhooks, health: settled, status: []string{}, clean: cleanWebhooks}

// apiService is the registration of an aggregated API.
var apiService = Rule{
	step:   definitions,
	status: []string{"conditions"},
	clean: func(obj map[string]any) {
		if isInjected(obj) {
			removeAt(obj, "spec", "caBundle")
		}
	},
	aggregate: aggregateGeneric,
}

func cleanWebhooks(obj map[string]any) {
	if !isInjected(obj) {
		return
	}
	for _, hook := range mapsAt(obj, "webhooks") {
		removeAt(hook, "clientConfig", "caBundle")
	}
}

// isInjected reports whether the certificate bundle is written by a controller in the member (cert-manager's CA
// injector or OpenShift's service CA), which server-side apply would otherwise take away from it at every turn.
func isInjected(obj map[string]any) bool {
	annotations := mapAt(obj, "metadata", "annotations")
	for _, name := range []string{
		"cert-manager.io/inject-ca-from",
		"cert-manager.io/inject-ca-from-secret",
		"cert-manager.io/inject-apiserver-ca",
		"service.beta.openshift.io/inject-cabundle",
	} {
		if annotations[name] != nil {
			return true
		}
	}
	return false
}
