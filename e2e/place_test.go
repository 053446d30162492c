package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
)

// A Deployment of 12 by weights 3:2:1 is one Deployment for whoever looks at the hub.
func TestPlaceByWeight(t *testing.T) {
	s := onFleet(t)
	s.apply(deployment("web", 12), placement("web", []string{"Deployment/web"}, []string{"east=3", "west=2", "south=1"}))

	s.kubectl("", "rollout", "status", "deployment/web", "--timeout=60s")
	s.kubectl("", "wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
	s.awaitShares("web", shares{"east": 6, "west": 4, "south": 2})

	s.eventually("kubectl get shows the whole", func() error {
		table := s.kubectl("", "get", "deployment", "web")
		lines := strings.Split(strings.TrimSpace(table), "\n")
		head, row := strings.Fields(lines[0]), strings.Fields(lines[len(lines)-1])
		if want := []string{"NAME", "READY", "UP-TO-DATE", "AVAILABLE", "CLUSTERS", "AGE"}; !slices.Equal(head, want) {
			return fmt.Errorf("columns %v, want %v", head, want)
		}
		if want := []string{"web", "12/12", "12", "12", "east=6/6,south=2/2,west=4/4"}; !slices.Equal(row[:5], want) {
			return fmt.Errorf("row %v, want %v", row[:5], want)
		}
		return nil
	})
	s.eventually("the Placement says that all is done", func() error {
		p, err := get[v1alpha1.Placement](s, s.hub.Client, "web")
		if err != nil {
			return err
		}
		for _, kind := range []string{"Scheduled", "Applied", "Ready"} {
			if !meta.IsStatusConditionTrue(p.Status.Conditions, kind) {
				return fmt.Errorf("it says %+v", p.Status.Conditions)
			}
		}
		var chosen []string
		for _, d := range p.Status.Decisions {
			chosen = append(chosen, d.ClusterName)
		}
		if want := []string{"east", "south", "west"}; !slices.Equal(chosen, want) || p.Status.Unplaced != 0 {
			return fmt.Errorf("decisions %v, %d unplaced", chosen, p.Status.Unplaced)
		}
		return nil
	})
	for _, m := range s.members {
		d, err := get[appsv1.Deployment](s, m.Client, "web")
		s.must(err)
		if d.Labels[v1alpha1.HubLabel] == "" || d.Annotations[v1alpha1.TemplateAnnotation] == "" {
			t.Errorf("the copy in %s is not marked as ours: %v %v", m.Name(), d.Labels, d.Annotations)
		}
	}
}

// Scaling the template scales the members by their weights, and moves no more than that.
func TestScale(t *testing.T) {
	s := onFleet(t)
	s.apply(deployment("web", 6), placement("web", []string{"Deployment/web"}, []string{"east=3", "west=2", "south=1"}))
	s.awaitShares("web", shares{"east": 3, "west": 2, "south": 1})
	for _, step := range []struct {
		replicas int
		wanted   shares
	}{
		{18, shares{"east": 9, "west": 6, "south": 3}},
		{3, shares{"east": 2, "west": 1, "south": 0}},
		{0, shares{"east": 0, "west": 0, "south": 0}},
		{12, shares{"east": 6, "west": 4, "south": 2}},
	} {
		s.kubectl("", "scale", "deployment/web", fmt.Sprintf("--replicas=%d", step.replicas))
		if step.replicas != 3 {
			s.awaitShares("web", step.wanted)
			continue
		}
		// Where 3 replicas of the weights 3:2:1 go (1.5 : 1 : 0.5) is the engine's choice; that it is 3 is not.
		s.eventually("the members have 3 replicas", func() error {
			d, err := get[appsv1.Deployment](s, s.hub.Client, "web")
			if err == nil && (d.Status.ReadyReplicas != 3 || d.Status.Replicas != 3) {
				err = fmt.Errorf("the hub says %d of %d", d.Status.ReadyReplicas, d.Status.Replicas)
			}
			return err
		})
	}
}

// A new image reaches every member, and the rollout is over when it is over everywhere.
func TestUpdateTheImage(t *testing.T) {
	s := onFleet(t)
	s.apply(deployment("web", 6), placement("web", []string{"Deployment/web"}, []string{"east=1", "west=1", "south=1"}))
	s.awaitShares("web", shares{"east": 2, "west": 2, "south": 2})
	s.kubectl("", "set", "image", "deployment/web", "web="+cluster.WebImageNext)
	s.kubectl("", "rollout", "status", "deployment/web", "--timeout=90s")
	// At this moment and not a little later: that is what rollout status promises.
	for _, m := range s.members {
		d, err := get[appsv1.Deployment](s, m.Client, "web")
		s.must(err)
		if image := d.Spec.Template.Spec.Containers[0].Image; image != cluster.WebImageNext || d.Status.UpdatedReplicas != 2 {
			t.Errorf("%s has %d updated replicas of image %s", m.Name(), d.Status.UpdatedReplicas, image)
		}
	}
	s.awaitShares("web", shares{"east": 2, "west": 2, "south": 2})
}

// New weights move replicas, and a member that is no longer named gives its copy back.
func TestChangeTheWeights(t *testing.T) {
	s := onFleet(t)
	resources := []string{"Deployment/web"}
	s.apply(deployment("web", 12), placement("web", resources, []string{"east=3", "west=2", "south=1"}))
	s.awaitShares("web", shares{"east": 6, "west": 4, "south": 2})
	s.apply(placement("web", resources, []string{"east=1", "west=1", "south=1"}))
	s.awaitShares("web", shares{"east": 4, "west": 4, "south": 4})
	s.apply(placement("web", resources, []string{"east=1", "west=3"}))
	s.awaitShares("web", shares{"east": 3, "west": 9})
}

// The placement in one line does the same as a Placement, and one that cannot be read is refused with the place.
func TestAnnotateInOneLine(t *testing.T) {
	s := onFleet(t)
	s.kubectl("", "create", "deployment", "web", "--image", cluster.WebImage, "--replicas=3")
	for _, bad := range []struct{ annotation, says string }{
		{"hanse.io/clusters=east=2,,west=1", "hanse.io/clusters"},
		{"hanse.io/clusters=east=many", "at character 6"},
		{"hanse.io/clusters=(env=prod", "at character 1"},
		{"hanse.io/clusters=east=-1", "at character 6"},
		{"hanse.io/on-conflict=Sometimes", "Fail, Adopt or Overwrite"},
	} {
		arguments := []string{"annotate", "deployment/web", "--overwrite", bad.annotation}
		if !strings.HasPrefix(bad.annotation, "hanse.io/clusters") {
			arguments = append(arguments, "hanse.io/clusters=east=2")
		}
		if said := s.refused("", arguments...); !strings.Contains(said, bad.says) {
			t.Errorf("the refusal of %s does not say %q:\n%s", bad.annotation, bad.says, said)
		}
	}
	s.kubectl("", "annotate", "deployment/web", "hanse.io/clusters=east=2,west=1")
	s.awaitShares("web", shares{"east": 2, "west": 1})
	s.kubectl("", "annotate", "deployment/web", "hanse.io/clusters-")
	awaitGone[appsv1.Deployment](s, "web", "east", "west")
	if d, err := get[appsv1.Deployment](s, s.hub.Client, "web"); err != nil || d == nil {
		t.Errorf("the template has gone with its annotation: %v", err)
	}
}

// Two Placements that claim one object both say so, and the older one keeps it.
func TestClaimOneObjectTwice(t *testing.T) {
	s := onFleet(t)
	s.apply(configMap("settings", "a", "b"), placement("older", []string{"ConfigMap/settings"}, []string{"east=1"}))
	awaitThere[corev1.ConfigMap](s, "settings", "east")
	// Creation times are whole seconds; the second claim is to be the younger one.
	s.eventually("a second has passed", func() error {
		older, err := get[v1alpha1.Placement](s, s.hub.Client, "older")
		if err != nil {
			return err
		}
		probe := s.kubectl(configMap("clock", "a", "b"), "apply", "-f", "-", "--dry-run=server",
			"-o", "jsonpath={.metadata.creationTimestamp}")
		if at := older.CreationTimestamp.UTC().Format("2006-01-02T15:04:05Z"); probe <= at {
			return fmt.Errorf("it is %s", probe)
		}
		return nil
	})
	s.apply(placement("younger", []string{"ConfigMap/settings"}, []string{"west=1"}))
	for name, other := range map[string]string{"older": "younger", "younger": "older"} {
		s.eventually("Placement "+name+" tells of the other", func() error {
			p, err := get[v1alpha1.Placement](s, s.hub.Client, name)
			if err != nil {
				return err
			}
			c := meta.FindStatusCondition(p.Status.Conditions, "Scheduled")
			if c == nil || !strings.Contains(c.Message, "Placement "+other) {
				return fmt.Errorf("it says %+v", c)
			}
			return nil
		})
	}
	if obj, err := get[corev1.ConfigMap](s, s.member("west").Client, "settings"); err != nil || obj != nil {
		t.Errorf("the younger Placement took the object to west: %v", err)
	}
	awaitThere[corev1.ConfigMap](s, "settings", "east")
	s.kubectl("", "delete", "placement", "older")
	awaitThere[corev1.ConfigMap](s, "settings", "west")
	awaitGone[corev1.ConfigMap](s, "settings", "east")
}
