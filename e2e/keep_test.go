package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
)

// What somebody changes or deletes in a member comes back; what the hub did not set stays as they want it.
func TestRepairDrift(t *testing.T) {
	s := onFleet(t)
	s.apply(deployment("web", 4), configMap("settings", "a", "b"),
		placement("web", []string{"Deployment/web", "ConfigMap/settings"}, []string{"east=1", "west=1"}))
	s.awaitShares("web", shares{"east": 2, "west": 2})
	awaitThere[corev1.ConfigMap](s, "settings", "east", "west")

	s.in("east", "", "scale", "deployment/web", "--replicas=7")
	s.in("east", "", "set", "image", "deployment/web", "web="+cluster.WebImageNext)
	s.in("east", "", "label", "deployment/web", "team=red")
	s.in("east", "", "patch", "configmap/settings", "--type=merge", "-p", `{"data":{"a":"changed","own":"theirs"}}`)
	s.awaitShares("web", shares{"east": 2, "west": 2})
	s.eventually("east is as the templates say, and keeps what is not ours", func() error {
		d, err := get[appsv1.Deployment](s, s.member("east").Client, "web")
		if err != nil {
			return err
		}
		if image := d.Spec.Template.Spec.Containers[0].Image; image != cluster.WebImage || d.Labels["team"] != "red" {
			return fmt.Errorf("image %s, labels %v", image, d.Labels)
		}
		c, err := get[corev1.ConfigMap](s, s.member("east").Client, "settings")
		if err != nil {
			return err
		}
		if diff := cmp.Diff(map[string]string{"a": "b", "own": "theirs"}, c.Data); diff != "" {
			return errors.New("data (-want, +got): " + diff)
		}
		return nil
	})

	before, err := get[appsv1.Deployment](s, s.member("west").Client, "web")
	s.must(err)
	s.in("west", "", "delete", "deployment/web", "configmap/settings")
	s.awaitShares("web", shares{"east": 2, "west": 2})
	awaitThere[corev1.ConfigMap](s, "settings", "west")
	after, err := get[appsv1.Deployment](s, s.member("west").Client, "web")
	s.must(err)
	if before.UID == after.UID {
		t.Error("the deleted Deployment was never away")
	}
}

// An object that was in a member before is left alone, unless the Placement says otherwise.
func TestMeetForeignObjects(t *testing.T) {
	s := onFleet(t)
	s.in("east", "", "create", "namespace", s.ns)
	t.Cleanup(func() {
		_ = s.member("east").Kube.CoreV1().Namespaces().Delete(context.Background(), s.ns, metav1.DeleteOptions{})
	})
	s.in("east", configMap("settings", "a", "theirs"), "apply", "-f", "-")
	s.in("east", configMap("compatible", "own", "theirs"), "apply", "-f", "-")
	foreign, err := get[corev1.ConfigMap](s, s.member("east").Client, "settings")
	s.must(err)

	resources := []string{"ConfigMap/settings", "ConfigMap/compatible"}
	clusters := []string{"east=1", "west=1"}
	s.apply(configMap("settings", "a", "ours"), configMap("compatible", "a", "ours"), placement("all", resources, clusters))
	for _, name := range []string{"configmap-settings", "configmap-compatible"} {
		o := s.verdict(name, "east", "Conflict")
		if !strings.Contains(o.Message, "not ours") || !strings.Contains(o.Message, "on-conflict") {
			t.Errorf("the message of %s does not say what to do: %s", name, o.Message)
		}
		s.verdict(name, "west", "Created", "Unchanged", "Configured") // west is not held up
	}
	now, err := get[corev1.ConfigMap](s, s.member("east").Client, "settings")
	s.must(err)
	if diff := cmp.Diff(foreign, now); diff != "" {
		t.Fatalf("the foreign object was changed (-before, +now):\n%s", diff)
	}

	// Adopt takes what does not contradict, and nothing by force.
	s.apply(placement("all", resources, clusters, "onConflict: Adopt"))
	s.verdict("configmap-compatible", "east", "Configured", "Unchanged")
	s.eventually("the adopted object has both sides' fields", func() error {
		c, err := get[corev1.ConfigMap](s, s.member("east").Client, "compatible")
		if err != nil {
			return err
		}
		if diff := cmp.Diff(map[string]string{"a": "ours", "own": "theirs"}, c.Data); diff != "" {
			return errors.New("data (-want, +got): " + diff)
		}
		return nil
	})
	s.eventually("the contradiction is named, with its owner", func() error {
		o, err := s.outcome("configmap-settings", "east")
		if err == nil && (o.Verdict != "Conflict" || !strings.Contains(o.Message, ".data.a")) {
			err = fmt.Errorf("%s: %s", o.Verdict, o.Message)
		}
		return err
	})
	if c, err := get[corev1.ConfigMap](s, s.member("east").Client, "settings"); err != nil || c.Data["a"] != "theirs" {
		t.Errorf("Adopt changed a field of another owner: %v %v", c, err)
	}

	s.apply(placement("all", resources, clusters, "onConflict: Overwrite"))
	s.eventually("Overwrite takes the field", func() error {
		c, err := get[corev1.ConfigMap](s, s.member("east").Client, "settings")
		if err == nil && c.Data["a"] != "ours" {
			err = fmt.Errorf("data %v", c.Data)
		}
		return err
	})

	// What was there before us outlives us, without our marks.
	s.kubectl("", "delete", "configmap", "settings", "compatible")
	awaitGone[corev1.ConfigMap](s, "settings", "west")
	for _, name := range []string{"settings", "compatible"} {
		c, err := get[corev1.ConfigMap](s, s.member("east").Client, name)
		s.must(err)
		if c == nil {
			t.Errorf("%s was there before us and was deleted", name)
		} else if c.Labels[v1alpha1.HubLabel] != "" || c.Annotations[v1alpha1.TemplateAnnotation] != "" {
			t.Errorf("%s still has our marks: %v %v", name, c.Labels, c.Annotations)
		}
	}
}

// Deleting a template takes its copies out of the members first, and the namespaces that were made for them; nothing else.
func TestDelete(t *testing.T) {
	s := onFleet(t)
	// In west the namespace was there before; in south somebody puts something into ours.
	s.in("west", "", "create", "namespace", s.ns)
	t.Cleanup(func() {
		for _, m := range s.members {
			_ = m.Kube.CoreV1().Namespaces().Delete(context.Background(), s.ns, metav1.DeleteOptions{})
		}
	})
	s.apply(deployment("web", 3), configMap("settings", "a", "b"),
		placement("web", []string{"Deployment/web", "ConfigMap/settings"}, []string{"east=1", "west=1", "south=1"}))
	s.awaitShares("web", shares{"east": 1, "west": 1, "south": 1})
	awaitThere[corev1.ConfigMap](s, "settings", "east", "west", "south")
	s.in("south", configMap("theirs", "a", "b"), "apply", "-f", "-")

	s.kubectl("", "delete", "deployment/web", "configmap/settings", "--timeout=60s")
	// kubectl has waited for the templates to go: no copy may be left at this moment.
	for _, m := range s.members {
		d, err := get[appsv1.Deployment](s, m.Client, "web")
		s.must(err)
		c, err := get[corev1.ConfigMap](s, m.Client, "settings")
		s.must(err)
		if d != nil && d.DeletionTimestamp == nil || c != nil && c.DeletionTimestamp == nil {
			t.Errorf("%s still has a copy after the template is gone", m.Name())
		}
	}
	awaitGone[appsv1.Deployment](s, "web", "east", "west", "south")
	s.eventually("the namespace that was made for them is gone", func() error {
		_, err := s.member("east").Kube.CoreV1().Namespaces().Get(t.Context(), s.ns, metav1.GetOptions{})
		if err == nil {
			return errors.New("it is there")
		}
		return client.IgnoreNotFound(err)
	})
	for _, name := range []string{"west", "south"} {
		ns, err := s.member(name).Kube.CoreV1().Namespaces().Get(t.Context(), s.ns, metav1.GetOptions{})
		if err != nil || ns.DeletionTimestamp != nil {
			t.Errorf("the namespace in %s, which has or is something foreign, goes too: %v", name, err)
		}
	}
	awaitThere[corev1.ConfigMap](s, "theirs", "south")
}

// What a workload refers to goes where it goes, and leaves with the last that needs it.
func TestDependenciesFollow(t *testing.T) {
	s := onFleet(t)
	s.apply(configMap("settings", "a", "b"), `
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {k: v}`, `
apiVersion: v1
kind: ServiceAccount
metadata: {name: runner}`, configMap("unrelated", "a", "b"))
	s.apply(withDependencies("one"), withDependencies("two"),
		placement("one", []string{"Deployment/one"}, []string{"east=1", "west=1"}),
		placement("two", []string{"Deployment/two"}, []string{"west=1", "south=1"}))
	everywhere := []string{"east", "west", "south"}
	awaitThere[corev1.ConfigMap](s, "settings", everywhere...)
	awaitThere[corev1.Secret](s, "key", everywhere...)
	awaitThere[corev1.ServiceAccount](s, "runner", everywhere...)
	s.awaitShares("one", shares{"east": 1, "west": 1})
	s.awaitShares("two", shares{"west": 1, "south": 1})
	if c, err := get[corev1.ConfigMap](s, s.member("east").Client, "unrelated"); err != nil || c != nil {
		t.Errorf("a ConfigMap that nothing refers to went along: %v", err)
	}

	s.kubectl("", "patch", "configmap", "settings", "--type=merge", "-p", `{"data":{"a":"changed"}}`)
	for _, m := range s.members {
		s.eventually("the change reaches "+m.Name(), func() error {
			c, err := get[corev1.ConfigMap](s, m.Client, "settings")
			if err == nil && c.Data["a"] != "changed" {
				err = fmt.Errorf("data %v", c.Data)
			}
			return err
		})
	}

	s.kubectl("", "delete", "deployment", "two")
	awaitGone[corev1.Secret](s, "key", "south")
	awaitGone[corev1.ConfigMap](s, "settings", "south")
	awaitThere[corev1.Secret](s, "key", "east", "west")
	s.kubectl("", "delete", "deployment", "one")
	awaitGone[corev1.Secret](s, "key", everywhere...)
	awaitGone[corev1.ConfigMap](s, "settings", everywhere...)
	awaitGone[corev1.ServiceAccount](s, "runner", everywhere...)
	for _, name := range []string{"settings", "unrelated"} {
		if c, err := get[corev1.ConfigMap](s, s.hub.Client, name); err != nil || c == nil || c.DeletionTimestamp != nil {
			t.Errorf("the template %s left with the copies: %v", name, err)
		}
	}
}

// withDependencies is a Deployment of 2 that refers to a ConfigMap, a Secret and a ServiceAccount.
func withDependencies(name string) string {
	return strings.Replace(deployment(name, 2), "    spec:\n      containers: [{", `    spec:
      serviceAccountName: runner
      volumes: [{name: settings, configMap: {name: settings}}]
      containers: [{envFrom: [{secretRef: {name: key}}], `, 1)
}
