package apply

import "context"

// EnsureNamespace makes the namespace in the member if it is absent, with our mark; one that exists is used as it is.
func EnsureNamespace(ctx context.Context, target Target, hub Hub, name string) Result {
	panic("follows in the next commit")
}

// RemoveNamespaceIfOursAndEmpty deletes a namespace that EnsureNamespace made, if nothing is in it but what Kubernetes
// itself puts into every namespace.
func RemoveNamespaceIfOursAndEmpty(ctx context.Context, target Target, hub Hub, name string) Result {
	panic("follows in the next commit")
}
