package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/harness"
)

// A namespace that was placed in a member stays there when somebody has something in it, and is theirs from then on:
// nothing of it is left over for anybody to settle.
func TestANamespaceHoldsForeignObjects(t *testing.T) {
	s := onFleet(t)
	name := s.ns + "-shared"
	east := s.member("east")
	t.Cleanup(func() {
		ctx := context.Background()
		_ = s.hub.Kube.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
		_ = east.Kube.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	})
	s.apply(fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {team: a}, annotations: {%s: %s}}}",
		name, v1alpha1.ClustersAnnotation, "'east=1,west=1'"))
	shared := func(m *harness.Member) (*corev1.Namespace, error) {
		return m.Kube.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
	}
	for _, m := range []*harness.Member{east, s.member("west")} {
		s.eventually("the namespace is in "+m.Name(), func() error {
			_, err := shared(m)
			return err
		})
	}
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "theirs"}}
	s.must(east.Client.Create(t.Context(), theirs))

	s.kubectl("", "delete", "namespace", name, "--timeout=60s")
	s.eventually("it is gone where nobody had anything", func() error {
		ns, err := shared(s.member("west"))
		if err == nil {
			err = fmt.Errorf("it is %s", ns.Status.Phase)
		}
		return client.IgnoreNotFound(err)
	})
	ns, err := shared(east)
	s.must(err)
	if ns.DeletionTimestamp != nil || ns.Labels[v1alpha1.HubLabel] != "" || len(ns.Annotations) > 0 || ns.Labels["team"] != "a" {
		t.Errorf("what stays in east has our marks, or is going: %+v", ns.ObjectMeta)
	}
}

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
