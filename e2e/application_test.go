package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/e2e/cluster"
)

// deployment is the manifest of a Deployment.
func deployment(name string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, labels: {app: %[1]s}}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers: [{name: web, image: %[3]q, ports: [{containerPort: 8080}]}]`, name, replicas, cluster.WebImage)
}

// loadBalancer is the manifest of a Service that shows a Deployment to the world.
func loadBalancer(name string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s, labels: {app: %[1]s}}
spec: {type: LoadBalancer, selector: {app: %[1]s}, ports: [{name: http, port: 80, targetPort: 8080}]}`, name)
}

// configMap is the manifest of a ConfigMap with one entry.
func configMap(name, key, value string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: ConfigMap
metadata: {name: %s}
data: {%s: %q}`, name, key, value)
}

// placement is the manifest of a Placement; the resources are "Deployment/web", the clusters "east=3".
func placement(name string, resources, clusters []string, more ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\napiVersion: hanse.io/v1alpha1\nkind: Placement\nmetadata: {name: %s}\nspec:\n", name)
	text.WriteString("  resources:\n")
	for _, r := range resources {
		kind, object, _ := strings.Cut(r, "/")
		fmt.Fprintf(&text, "  - {kind: %s, name: %s}\n", kind, object)
	}
	text.WriteString("  clusters:\n")
	for _, c := range clusters {
		member, weight, _ := strings.Cut(c, "=")
		fmt.Fprintf(&text, "  - {name: %s, weight: %s}\n", member, weight)
	}
	for _, line := range more {
		fmt.Fprintf(&text, "  %s\n", line)
	}
	return text.String()
}

// shares are replicas by member.
type shares map[string]int32

func (w shares) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(w)) {
		parts = append(parts, name+"="+strconv.Itoa(int(w[name])))
	}
	return strings.Join(parts, ",")
}

// awaitShares waits until every member has so many replicas of the Deployment, ready, and the hub says the sum.
func (s *scenario) awaitShares(name string, wanted shares) {
	s.Helper()
	s.eventually(fmt.Sprintf("Deployment %s is %s", name, wanted), func() error {
		sum := int32(0)
		for _, m := range s.members {
			d, err := get[appsv1.Deployment](s, m.Client, name)
			if err != nil {
				return err
			}
			replicas, placed := wanted[m.Name()]
			switch {
			case !placed && d == nil:
				continue
			case !placed:
				return fmt.Errorf("%s has a copy", m.Name())
			case d == nil:
				return fmt.Errorf("%s has no copy", m.Name())
			case *d.Spec.Replicas != replicas || d.Status.ReadyReplicas != replicas || d.Status.Replicas != replicas:
				return fmt.Errorf("%s has %d of %d replicas ready, wants %d", m.Name(), d.Status.ReadyReplicas,
					*d.Spec.Replicas, replicas)
			}
			sum += replicas
		}
		d, err := get[appsv1.Deployment](s, s.hub.Client, name)
		if err != nil || d == nil {
			return fmt.Errorf("the hub has no template: %w", err)
		}
		st := d.Status
		if st.Replicas != sum || st.ReadyReplicas != sum || st.AvailableReplicas != sum || st.UpdatedReplicas != sum ||
			st.ObservedGeneration != d.Generation {
			return fmt.Errorf("the hub says %+v of generation %d, wants %d replicas", st, d.Generation, sum)
		}
		return nil
	})
}

// awaitGone waits until no member has the object.
func awaitGone[T any, P interface {
	*T
	client.Object
}](s *scenario, name string, members ...string) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s has left %v", name, members), func() error {
		for _, member := range members {
			obj, err := get[T, P](s, s.member(member).Client, name)
			if err != nil {
				return err
			}
			if obj != nil {
				return fmt.Errorf("%s has it: %v %v", member, obj.GetLabels(), obj.GetFinalizers())
			}
		}
		return nil
	})
}

// awaitThere waits until every member has the object.
func awaitThere[T any, P interface {
	*T
	client.Object
}](s *scenario, name string, members ...string) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s is in %v", name, members), func() error {
		for _, member := range members {
			obj, err := get[T, P](s, s.member(member).Client, name)
			if err != nil {
				return err
			}
			if obj == nil {
				return fmt.Errorf("%s does not have it", member)
			}
		}
		return nil
	})
}
