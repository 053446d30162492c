package kinds

// namespace travels with what is placed in it; its phase on the hub is the hub's own, so nothing is added up.
var namespace = Rule{
	step:      namespaces,
	allocated: [][]string{{"spec", "finalizers"}, {"metadata", "labels", "kubernetes.io/metadata.name"}},
	clean: func(obj map[string]any) {
		if len(mapAt(obj, "spec")) == 0 {
			delete(obj, "spec")
		}
	},
	status: []string{"phase", "conditions"},
	health: func(obj map[string]any) (Health, string) {
		if stringAt(obj, "status", "phase") == "Terminating" {
			return Progressing, "is being deleted"
		}
		return Healthy, ""
	},
}
