package e2e

import (
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Deleting a namespace on the hub deletes what was placed from it, in every member, before the namespace is gone. The
// hub empties it kind by kind in any order, its own bookkeeping included.
func TestDeleteTheNamespace(t *testing.T) {
	s := onFleet(t)
	manifests := []string{deployment("web", 2), placement("web", []string{"Deployment/web"}, []string{"east=1", "west=1"})}
	const configs = 20
	for i := range configs {
		manifests = append(manifests, configMap(fmt.Sprintf("settings-%d", i), "a", "b"))
	}
	s.apply(manifests...)
	s.kubectl("", "annotate", "configmap", "--all", "hanse.io/clusters=east,west,south")
	s.awaitShares("web", shares{"east": 1, "west": 1})
	awaitThere[corev1.ConfigMap](s, fmt.Sprintf("settings-%d", configs-1), "east", "west", "south")

	s.kubectl("", "delete", "namespace", s.ns, "--timeout=90s")
	for _, m := range s.members {
		left, err := m.Kube.CoreV1().ConfigMaps(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: "hanse.io/hub"})
		s.must(err)
		for _, c := range left.Items {
			if c.DeletionTimestamp == nil {
				t.Errorf("%s still has ConfigMap %s after the namespace is gone", m.Name(), c.Name)
			}
		}
	}
	awaitGone[appsv1.Deployment](s, "web", "east", "west")
	for _, m := range s.members {
		s.eventually("the namespace that was made in "+m.Name()+" is gone", func() error {
			_, err := m.Kube.CoreV1().Namespaces().Get(t.Context(), s.ns, metav1.GetOptions{})
			switch {
			case err == nil:
				return errors.New("it is there")
			case apierrors.IsNotFound(err):
				return nil
			}
			return err
		})
	}
}
