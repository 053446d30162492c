package cluster

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// TestCluster follows one cluster through all that a scenario does with it.
func TestCluster(t *testing.T) {
	ctx := t.Context()
	c := create(t, "east", Options{Controllers: true, Nodes: 2, Region: "eu", Zones: []string{"eu-1", "eu-2"}})
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}

	t.Run("nodes are ready in their zones", func(t *testing.T) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "topology.kubernetes.io/zone=eu-2"})
		if err != nil {
			t.Fatal(err)
		}
		if len(nodes.Items) != 1 || !isReady(nodes.Items[0]) {
			t.Errorf("want one ready node in zone eu-2, got %v", nodes.Items)
		}
	})

	t.Run("a Deployment becomes available", func(t *testing.T) {
		applyDeployment(t, client, deployment("web", 3, nil))
		eventually(t, func(ctx context.Context) (bool, error) {
			d, err := client.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
			return err == nil && d.Status.AvailableReplicas == 3, err
		})
	})

	t.Run("a broken pod does not become ready", func(t *testing.T) {
		applyDeployment(t, client, deployment("broken", 1, map[string]string{"e2e.hanse.io/broken": "true"}))
		eventually(t, func(ctx context.Context) (bool, error) {
			pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=broken"})
			return err == nil && len(pods.Items) == 1 && pods.Items[0].Status.Phase == corev1.PodRunning &&
				!pods.Items[0].Status.ContainerStatuses[0].Ready, err
		})
	})

	t.Run("a StatefulSet gets volumes, which go with their claims", func(t *testing.T) { testVolumes(t, client) })
	t.Run("a LoadBalancer Service gets an address", func(t *testing.T) { testLoadBalancer(t, client) })

	t.Run("a killed API server comes back with its data", func(t *testing.T) {
		if err := c.Kill(APIServer); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err == nil {
			t.Error("a killed API server answers")
		}
		if err := c.Start(APIServer); err != nil {
			t.Fatal(err)
		}
		if _, err := client.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
		// Controllers and scheduler find the new server by themselves.
		scale(t, client, "web", 5)
	})

	t.Run("every part comes back after a crash", func(t *testing.T) {
		for i, part := range []Part{Etcd, ControllerManager, Scheduler, Kwok, LoadBalancer} {
			if err := c.Kill(part); err != nil {
				t.Fatal(err)
			}
			if err := c.Start(part); err != nil {
				t.Fatal(err)
			}
			scale(t, client, "web", int32(6+i))
		}
	})

	t.Run("a paused API server does not answer, and goes on when it is resumed", func(t *testing.T) {
		if err := c.Pause(APIServer); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := client.CoreV1().Nodes().List(short, metav1.ListOptions{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("want no answer from a paused API server, got %v", err)
		}
		if err := c.Resume(APIServer); err != nil {
			t.Fatal(err)
		}
		scale(t, client, "web", 4)
	})

	t.Run("a whole cluster stops and starts", func(t *testing.T) {
		if err := c.Stop(All); err != nil {
			t.Fatal(err)
		}
		if living := processesOf(t, c); len(living) > 0 {
			t.Errorf("these run in a stopped cluster: %v", living)
		}
		if err := c.Start(All); err != nil {
			t.Fatal(err)
		}
		scale(t, client, "web", 6)
	})

	t.Run("an unknown part is refused", func(t *testing.T) {
		if err := c.Stop("kubelet"); err == nil {
			t.Error("a part was stopped that the cluster does not have")
		}
	})

	t.Run("a deleted cluster leaves nothing", func(t *testing.T) {
		living := processesOf(t, c)
		if len(living) != 5 {
			t.Fatalf("want five processes before, got %v", living)
		}
		if err := c.Delete(); err != nil {
			t.Fatal(err)
		}
		for _, pid := range living {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("process %d is still there", pid)
			}
		}
		if exists(c.Kubeconfig()) {
			t.Error("the data is still there")
		}
	})
}

// TestFloor holds that without controllers nothing but etcd and the API server runs.
func TestFloor(t *testing.T) {
	c := create(t, "floor", Options{})
	if living := processesOf(t, c); len(living) != 2 {
		t.Errorf("want two processes, got %v", living)
	}
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c"}}
	if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), m, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}

// TestCreateFails holds that a cluster which cannot come up says why and is gone.
func TestCreateFails(t *testing.T) {
	b := newBare(t)
	b.programs.APIServer = "/bin/false"
	dir := t.TempDir()
	_, err := b.Create(t.Context(), "never", Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "waiting for kube-apiserver: it ended") {
		t.Errorf("want an error about the API server, got %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := b.Create(t.Context(), "No Name", Options{Dir: dir}); err == nil {
		t.Error("a cluster with an impossible name was created")
	}
}

func testVolumes(t *testing.T, client kubernetes.Interface) {
	ctx := t.Context()
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: new(int32(2)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}},
			Template: podTemplate("db", nil),
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data"},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources: corev1.VolumeResourceRequirements{
						Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
					},
				},
			}},
			PersistentVolumeClaimRetentionPolicy: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenDeleted: appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
			},
		},
	}
	set.Spec.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	sets := client.AppsV1().StatefulSets("default")
	if _, err := sets.Create(ctx, set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) (bool, error) {
		s, err := sets.Get(ctx, "db", metav1.GetOptions{})
		return err == nil && s.Status.ReadyReplicas == 2, err
	})
	if err := sets.Delete(ctx, "db", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) (bool, error) {
		volumes, err := client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		return err == nil && len(volumes.Items) == 0, err
	})
}

func testLoadBalancer(t *testing.T, client kubernetes.Interface) {
	ctx := t.Context()
	services := client.CoreV1().Services("default")
	_, err := services.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeLoadBalancer,
			Selector: map[string]string{"app": "web"},
			Ports:    []corev1.ServicePort{{Port: 80}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	addresses := func(want int) {
		t.Helper()
		eventually(t, func(ctx context.Context) (bool, error) {
			s, err := services.Get(ctx, "web", metav1.GetOptions{})
			return err == nil && len(s.Status.LoadBalancer.Ingress) == want, err
		})
	}
	addresses(1)
	toType := func(kind string) {
		t.Helper()
		patch := []byte(`{"spec":{"type":"` + kind + `"}}`)
		if _, err := services.Patch(ctx, "web", "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	toType("ClusterIP")
	addresses(0)
	toType("LoadBalancer")
	addresses(1)
}

// newBare is a provider of its own.
func newBare(t *testing.T) *bare {
	t.Helper()
	p, err := NewBare(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*bare)
}

func create(t *testing.T, name string, opts Options) *bareCluster {
	t.Helper()
	opts.Dir = t.TempDir()
	began := time.Now()
	c, err := newBare(t).Create(t.Context(), name, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("cluster %s was ready after %v", name, time.Since(began).Round(100*time.Millisecond))
	t.Cleanup(func() {
		if err := c.Delete(); err != nil {
			t.Error(err)
		}
	})
	return c.(*bareCluster)
}

func processesOf(t *testing.T, c *bareCluster) []int {
	t.Helper()
	var living []int
	for _, p := range c.processes {
		if pid := p.running(); pid != 0 {
			living = append(living, pid)
		}
	}
	return living
}

func podTemplate(app string, annotations map[string]string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}, Annotations: annotations},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: app, Image: "example.org/" + app}}},
	}
}

func deployment(name string, replicas int32, annotations map[string]string) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: podTemplate(name, annotations),
		},
	}
}

func applyDeployment(t *testing.T, client kubernetes.Interface, d *appsv1.Deployment) {
	t.Helper()
	if _, err := client.AppsV1().Deployments("default").Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// scale changes the replicas of a Deployment and waits until they are ready.
func scale(t *testing.T, client kubernetes.Interface, name string, replicas int32) {
	t.Helper()
	deployments := client.AppsV1().Deployments("default")
	eventually(t, func(ctx context.Context) (bool, error) {
		d, err := deployments.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		d.Spec.Replicas = &replicas
		_, err = deployments.Update(ctx, d, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
	eventually(t, func(ctx context.Context) (bool, error) {
		d, err := deployments.Get(ctx, name, metav1.GetOptions{})
		return err == nil && d.Status.ReadyReplicas == replicas && d.Status.Replicas == replicas, err
	})
}

// eventually waits until the condition holds.
func eventually(t *testing.T, condition func(context.Context) (bool, error)) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), readinessPace, time.Minute, true,
		func(ctx context.Context) (bool, error) {
			var done bool
			done, last = condition(ctx)
			return done, nil
		})
	if err != nil {
		t.Fatalf("it did not become so: %v (%v)", err, last)
	}
}
