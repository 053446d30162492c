package cluster

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

// TestKind follows a cluster in Docker from its creation to a pod that answers
// at its load balancer's address, and through what scenarios do to it.
func TestKind(t *testing.T) {
	if os.Getenv("E2E_PROVIDER") != "kind" {
		t.Skip("needs Docker; E2E_PROVIDER=kind runs it")
	}
	provider, err := NewKind(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c, err := provider.Create(t.Context(), "harness", Options{Region: "eu", Zones: []string{"eu-1"}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Delete(); err != nil {
			t.Error(err)
		}
		within := c.(*kindCluster).within.String()
		if left, err := command(context.Background(), "ip", "route", "show", within); err != nil || left != "" {
			t.Errorf("a route is left: %q, %v", left, err)
		}
	})
	t.Logf("the cluster was ready after %v", time.Since(began).Round(time.Second))
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{LabelSelector: corev1.LabelTopologyZone})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatalf("want one node with a zone, got %v, %v", nodes.Items, err)
	}

	d := deployment("web", 2, nil)
	d.Spec.Template.Spec.Containers[0].Image = WebImage
	applyDeployment(t, client, d)
	services := client.CoreV1().Services("default")
	_, err = services.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeLoadBalancer,
			Selector: map[string]string{"app": "web"},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var url string
	eventually(t, func(ctx context.Context) (bool, error) {
		s, err := services.Get(ctx, "web", metav1.GetOptions{})
		if err != nil || len(s.Status.LoadBalancer.Ingress) == 0 {
			return false, err
		}
		url = "http://" + s.Status.LoadBalancer.Ingress[0].IP
		return true, nil
	})
	answers := func(ctx context.Context) (bool, error) {
		text, err := fetch(ctx, url)
		return strings.Contains(text, "version 1"), err
	}
	eventually(t, answers)

	for _, story := range []struct {
		name       string
		take, back func(Part) error
	}{
		{"paused", c.Pause, c.Resume},
		{"killed", c.Kill, c.Start},
		{"stopped", c.Stop, c.Start},
	} {
		t.Run(story.name, func(t *testing.T) {
			for range 2 { // what is done already is left alone
				if err := story.take(All); err != nil {
					t.Fatal(err)
				}
			}
			if text, err := fetch(t.Context(), url); err == nil {
				t.Errorf("a pod of a %s cluster says %q", story.name, text)
			}
			for range 2 {
				if err := story.back(All); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, answers)
		})
	}
	if err := c.Stop(Etcd); err == nil {
		t.Error("etcd of a kind cluster was stopped alone")
	}
}

// fetch asks for a page once, for at most two seconds.
func fetch(ctx context.Context, url string) (string, error) {
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}
