package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/e2e/cluster"
)

// workload is the manifest of a StatefulSet or a DaemonSet. It names the update strategy: kubectl rollout status reads
// it, and the hub stores a template as it was sent, without defaults.
func workload(kind, name, more string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: %[1]s
metadata: {name: %[2]s, labels: {app: %[2]s}}
spec:
  %[4]s
  updateStrategy: {type: RollingUpdate}
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: %[3]q}]`, kind, name, cluster.WebImage, more)
}

// The pods of a StatefulSet have names of their own over all members, and keep them when it is scaled.
func TestRunAStatefulSet(t *testing.T) {
	s := onFleet(t)
	s.apply(workload("StatefulSet", "db", "replicas: 5"),
		placement("db", []string{"StatefulSet/db"}, []string{"east=3", "west=2"}))
	s.kubectl("", "rollout", "status", "statefulset/db", "--timeout=60s")
	before := s.awaitSet("db", shares{"east": 3, "west": 2})

	s.kubectl("", "scale", "statefulset/db", "--replicas=10")
	s.kubectl("", "rollout", "status", "statefulset/db", "--timeout=60s")
	after := s.awaitSet("db", shares{"east": 6, "west": 4})
	for pod, member := range before {
		if after[pod] != member {
			t.Errorf("pod %s was in %s and is now in %q", pod, member, after[pod])
		}
	}
}

// awaitSet waits until the StatefulSet is ready as wanted, and says which pod is in which member. No name is there
// twice.
func (s *scenario) awaitSet(name string, wanted shares) map[string]string {
	s.Helper()
	pods := map[string]string{}
	s.eventually(fmt.Sprintf("StatefulSet %s is %s", name, wanted), func() error {
		clear(pods)
		sum := int32(0)
		for member, replicas := range wanted {
			sum += replicas
			set, err := get[appsv1.StatefulSet](s, s.member(member).Client, name)
			if err != nil || set == nil {
				return fmt.Errorf("%s has none: %w", member, err)
			}
			if *set.Spec.Replicas != replicas || set.Status.ReadyReplicas != replicas {
				return fmt.Errorf("%s has %d of %d ready, wants %d", member, set.Status.ReadyReplicas, *set.Spec.Replicas, replicas)
			}
			of := metav1.ListOptions{LabelSelector: "app=" + name}
			list, err := s.member(member).Kube.CoreV1().Pods(s.ns).List(s.Context(), of)
			if err != nil {
				return err
			}
			for _, pod := range list.Items {
				if other, twice := pods[pod.Name]; twice {
					s.Fatalf("%s and %s both have pod %s", other, member, pod.Name)
				}
				pods[pod.Name] = member
			}
		}
		set, err := get[appsv1.StatefulSet](s, s.hub.Client, name)
		if err == nil && (set.Status.Replicas != sum || set.Status.ReadyReplicas != sum || len(pods) != int(sum)) {
			err = fmt.Errorf("the hub says %+v, the members have %v", set.Status, pods)
		}
		return err
	})
	return pods
}

// A DaemonSet runs on every node of every member that was chosen, and the hub says the sums.
func TestRunADaemonSet(t *testing.T) {
	s := onFleet(t)
	s.apply(workload("DaemonSet", "agent", "minReadySeconds: 0"), placement("agent", []string{"DaemonSet/agent"}, nil))
	s.eventually("the hub says the sum of the members", func() error {
		sum := int32(0)
		for _, m := range s.members {
			d, err := get[appsv1.DaemonSet](s, m.Client, "agent")
			if err != nil || d == nil {
				return fmt.Errorf("%s has none: %w", m.Name(), err)
			}
			if d.Status.DesiredNumberScheduled == 0 || d.Status.NumberReady != d.Status.DesiredNumberScheduled {
				return fmt.Errorf("%s says %+v", m.Name(), d.Status)
			}
			sum += d.Status.NumberReady
		}
		d, err := get[appsv1.DaemonSet](s, s.hub.Client, "agent")
		if err == nil && (d.Status.NumberReady != sum || d.Status.DesiredNumberScheduled != sum) {
			err = fmt.Errorf("the hub says %+v, the members have %d", d.Status, sum)
		}
		return err
	})
	s.kubectl("", "rollout", "status", "daemonset/agent", "--timeout=60s")
}

// A Job's work is divided and not done twice; a CronJob runs in one member only.
func TestRunAJob(t *testing.T) {
	s := onFleet(t)
	const pod = `
      template:
        spec: {restartPolicy: Never, containers: [{name: once, image: "` + cluster.WebImage + `", args: [once]}]}`
	s.apply(`
apiVersion: batch/v1
kind: Job
metadata: {name: count}
spec:
  parallelism: 3
  completions: 6`+strings.ReplaceAll(pod, "\n    ", "\n"), `
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:`+strings.ReplaceAll(pod, "\n", "\n  "),
		placement("work", []string{"Job/count", "CronJob/nightly"}, []string{"east=2", "west=1"}))

	s.kubectl("", "wait", "--for=condition=Complete", "job/count", "--timeout=60s")
	for member, completions := range (shares{"east": 4, "west": 2}) {
		job, err := get[batchv1.Job](s, s.member(member).Client, "count")
		s.must(err)
		if *job.Spec.Completions != completions || job.Status.Succeeded != completions {
			t.Errorf("%s did %d of %d, want %d", member, job.Status.Succeeded, *job.Spec.Completions, completions)
		}
	}
	s.eventually("the hub says that 6 pods succeeded", func() error {
		job, err := get[batchv1.Job](s, s.hub.Client, "count")
		if err == nil && (job.Status.Succeeded != 6 || job.Status.Active != 0 || job.Status.CompletionTime == nil) {
			err = fmt.Errorf("it says %+v", job.Status)
		}
		return err
	})
	s.eventually("one member has the CronJob", func() error {
		var holders []string
		for _, m := range s.members {
			c, err := get[batchv1.CronJob](s, m.Client, "nightly")
			if err != nil {
				return err
			}
			if c != nil {
				holders = append(holders, m.Name())
			}
		}
		if len(holders) != 1 {
			return fmt.Errorf("it is in %v", holders)
		}
		return nil
	})
}

// A CronJob that moves is never in two clusters, and a Job that fails in one member has failed when no pod runs on in the
// other.
func TestOneScheduleAndOneFailure(t *testing.T) {
	s := onFleet(t)
	const pod = `{template: {spec: {restartPolicy: Never, containers: [{name: once, image: "` + cluster.WebImage + `", args: [once]}]}}}`
	s.apply(`
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {schedule: "0 3 * * *", jobTemplate: {spec: `+pod+`}}`, placement("nightly", []string{"CronJob/nightly"}, []string{"east=1"}))
	holders := func() (names []string) {
		for _, m := range s.members {
			c, err := get[batchv1.CronJob](s, m.Client, "nightly")
			s.must(err)
			if c != nil {
				names = append(names, m.Name())
			}
		}
		return names
	}
	for _, next := range []string{"east", "west", "east"} {
		s.apply(placement("nightly", []string{"CronJob/nightly"}, []string{next + "=1"}))
		s.eventually("the CronJob is in "+next, func() error {
			names := holders()
			if len(names) > 1 {
				t.Fatalf("the CronJob is in %v at once", names)
			}
			if !slices.Equal(names, []string{next}) {
				return fmt.Errorf("it is in %v", names)
			}
			return nil
		})
	}

	s.apply(`
apiVersion: batch/v1
kind: Job
metadata: {name: work}
spec:
  parallelism: 2
  completions: 2
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: "`+cluster.WebImage+`"}]`, placement("work", []string{"Job/work"}, []string{"east=1", "west=1"}))
	s.eventually("a pod runs in each member", func() error {
		for _, member := range []string{"east", "west"} {
			if job, err := get[batchv1.Job](s, s.member(member).Client, "work"); err != nil || job == nil || job.Status.Active != 1 {
				return fmt.Errorf("not in %s: %v", member, err)
			}
		}
		return nil
	})
	// As the kubelet of west would say of a pod that failed.
	out := s.in("west", "", "get", "pods", "-l", "job-name=work", "-o", "name")
	s.in("west", "", "patch", strings.TrimSpace(out), "--subresource=status", "--type=merge", "-p", `{"status": {"phase": "Failed"}}`)
	s.kubectl("", "wait", "--for=condition=Failed", "job/work", "--timeout=60s")
	s.eventually("no pod of it is active", func() error {
		job, err := get[batchv1.Job](s, s.hub.Client, "work")
		if err != nil {
			return err
		}
		east, err := get[batchv1.Job](s, s.member("east").Client, "work")
		if err == nil && (job.Status.Active != 0 || east.Status.Active != 0) {
			err = fmt.Errorf("%d on the hub, %d in east", job.Status.Active, east.Status.Active)
		}
		return err
	})
}

// A Service and an Ingress on the hub have the addresses of all members.
func TestPublishAnIngress(t *testing.T) {
	s := onFleet(t)
	s.apply(deployment("web", 2), loadBalancer("web"), `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
  - host: web.example.org
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}`,
		placement("web", []string{"Deployment/web", "Ingress/web", "Service/web"}, []string{"east=1", "west=1"}))
	s.eventually("the hub has the addresses of both members", func() error {
		var services, ingresses []string
		for _, member := range []string{"east", "west"} {
			service, err := get[corev1.Service](s, s.member(member).Client, "web")
			ingress, err2 := get[networkingv1.Ingress](s, s.member(member).Client, "web")
			if err := errors.Join(err, err2); err != nil || service == nil || ingress == nil {
				return fmt.Errorf("%s lacks something: %w", member, err)
			}
			if len(service.Status.LoadBalancer.Ingress) == 0 || len(ingress.Status.LoadBalancer.Ingress) == 0 {
				return fmt.Errorf("%s has no address yet", member)
			}
			services = append(services, service.Status.LoadBalancer.Ingress[0].IP)
			ingresses = append(ingresses, ingress.Status.LoadBalancer.Ingress[0].IP)
		}
		service, err := get[corev1.Service](s, s.hub.Client, "web")
		ingress, err2 := get[networkingv1.Ingress](s, s.hub.Client, "web")
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		var said, saidByIngress []string
		for _, i := range service.Status.LoadBalancer.Ingress {
			said = append(said, i.IP)
		}
		for _, i := range ingress.Status.LoadBalancer.Ingress {
			saidByIngress = append(saidByIngress, i.IP)
		}
		for _, list := range [][]string{services, ingresses, said, saidByIngress} {
			slices.Sort(list)
		}
		if !slices.Equal(said, services) || !slices.Equal(saidByIngress, ingresses) {
			return fmt.Errorf("Service %v, members %v; Ingress %v, members %v", said, services, saidByIngress, ingresses)
		}
		return nil
	})
}

// A Deployment that leaves its replicas to an autoscaler begins with the autoscaler's least, divided by weight, and the hub
// says what runs. What the autoscaler left runs on when it is deleted.
func TestLeaveReplicasToAnAutoscaler(t *testing.T) {
	s := onFleet(t)
	manifest := strings.Replace(deployment("web", 1), "replicas: 1", "minReadySeconds: 0", 1)
	s.apply(manifest, placement("web", []string{"Deployment/web"}, []string{"east=2", "west=1"}))
	s.awaitShares("web", shares{"east": 1})
	s.apply(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  minReplicas: 3
  maxReplicas: 12
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}`)
	s.awaitShares("web", shares{"east": 2, "west": 1})
	bounds := func(member string, least, most int32) {
		s.eventually(fmt.Sprintf("%s scales from %d to %d", member, least, most), func() error {
			h, err := get[autoscalingv2.HorizontalPodAutoscaler](s, s.member(member).Client, "web")
			if err != nil || h == nil {
				return fmt.Errorf("there is none: %w", err)
			}
			if *h.Spec.MinReplicas != least || h.Spec.MaxReplicas != most {
				return fmt.Errorf("it scales from %d to %d", *h.Spec.MinReplicas, h.Spec.MaxReplicas)
			}
			return nil
		})
	}
	bounds("east", 2, 8)
	bounds("west", 1, 4)
	s.eventually("the hub has seen what the members say of the autoscaler", func() error {
		h, err := get[autoscalingv2.HorizontalPodAutoscaler](s, s.hub.Client, "web")
		if err == nil && (h.Status.ObservedGeneration == nil || *h.Status.ObservedGeneration != h.Generation) {
			err = fmt.Errorf("its status is %+v", h.Status)
		}
		return err
	})

	// As the autoscaler of east would; that one has no metrics here.
	s.in("east", "", "scale", "deployment/web", "--replicas=6")
	s.awaitShares("web", shares{"east": 6, "west": 1})
	s.eventually("the template's scale is the true sum", func() error {
		scale, err := s.hub.Kube.AppsV1().Deployments(s.ns).GetScale(t.Context(), "web", metav1.GetOptions{})
		if err == nil && (scale.Spec.Replicas != 7 || scale.Status.Replicas != 7) {
			err = fmt.Errorf("it is %d of %d", scale.Status.Replicas, scale.Spec.Replicas)
		}
		return err
	})
	s.awaitShown([]string{"7/7"}, "get", "deployment", "web")

	s.kubectl("", "delete", "hpa", "web")
	s.eventually("no member has the autoscaler", func() error {
		for _, member := range []string{"east", "west"} {
			if h, err := get[autoscalingv2.HorizontalPodAutoscaler](s, s.member(member).Client, "web"); err != nil || h != nil {
				return fmt.Errorf("%s has it: %v", member, err)
			}
		}
		return nil
	})
	s.eventually("seven run on", func() error {
		d, err := get[appsv1.Deployment](s, s.hub.Client, "web")
		if err == nil && d.Status.ReadyReplicas != 7 {
			err = fmt.Errorf("%d are ready", d.Status.ReadyReplicas)
		}
		return err
	})
}

// An autoscaler goes where its workload goes, its bounds are divided, and what it sets in a member stays.
func TestAutoscale(t *testing.T) {
	s := onFleet(t)
	s.apply(deployment("web", 4), placement("web", []string{"Deployment/web"}, []string{"east=1", "west=1"}))
	s.awaitShares("web", shares{"east": 2, "west": 2})
	s.kubectl("", "autoscale", "deployment/web", "--min=2", "--max=10", "--cpu=50%")
	s.eventually("both members have an autoscaler with half of the bounds", func() error {
		for _, member := range []string{"east", "west"} {
			h, err := get[autoscalingv2.HorizontalPodAutoscaler](s, s.member(member).Client, "web")
			if err != nil || h == nil {
				return fmt.Errorf("%s has none: %w", member, err)
			}
			if *h.Spec.MinReplicas != 1 || h.Spec.MaxReplicas != 5 {
				return fmt.Errorf("%s has %d to %d", member, *h.Spec.MinReplicas, h.Spec.MaxReplicas)
			}
		}
		return nil
	})
	if h, err := get[autoscalingv2.HorizontalPodAutoscaler](s, s.member("south").Client, "web"); err != nil || h != nil {
		t.Errorf("south, which has no workload, has an autoscaler: %v", err)
	}
	// As the autoscaler of east would; that one has no metrics here.
	s.in("east", "", "scale", "deployment/web", "--replicas=5")
	// A change of the template passes through east and must leave the number.
	s.kubectl("", "set", "env", "deployment/web", "COLOUR=red")
	s.eventually("east has the change, and the number of its autoscaler", func() error {
		d, err := get[appsv1.Deployment](s, s.member("east").Client, "web")
		if err != nil {
			return err
		}
		if len(d.Spec.Template.Spec.Containers[0].Env) != 1 || *d.Spec.Replicas != 5 || d.Status.ReadyReplicas != 5 {
			return fmt.Errorf("%d replicas, %d ready, %v", *d.Spec.Replicas, d.Status.ReadyReplicas,
				d.Spec.Template.Spec.Containers[0].Env)
		}
		return nil
	})
	s.eventually("the hub says what there is", func() error {
		d, err := get[appsv1.Deployment](s, s.hub.Client, "web")
		if err == nil && d.Status.ReadyReplicas != 7 {
			err = fmt.Errorf("it says %d ready", d.Status.ReadyReplicas)
		}
		return err
	})
}
