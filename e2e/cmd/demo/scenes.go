package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/e2e/cluster"
)

//go:embed application.yaml
var application []byte

func (d *demo) join(ctx context.Context) error {
	for _, name := range d.names {
		args := []string{"join", name, "--cluster-kubeconfig", d.members[name].Kubeconfig(), "--region", "region-" + name}
		if err := d.hanse(ctx, args...); err != nil {
			return err
		}
	}
	err := eventually(ctx, "the members are ready", func(ctx context.Context) error {
		var clusters v1alpha1.ClusterList
		if err := d.hubClient.List(ctx, &clusters); err != nil {
			return err
		}
		for i := range clusters.Items {
			c := &clusters.Items[i]
			if !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ClusterConditionReady) {
				return fmt.Errorf("%s is not ready", c.Name)
			}
		}
		return nil
	})
	return errors.Join(err, d.hanse(ctx, "clusters"))
}

// apply creates the application on the hub, and waits until the members have it.
func (d *demo) apply(ctx context.Context) error {
	fmt.Println("   $ kubectl apply -f application.yaml")
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(application), 4096)
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(&obj.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading application.yaml: %w", err)
		}
		if err := d.hubClient.Create(ctx, obj); err != nil {
			return fmt.Errorf("creating %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	if err := d.expect(ctx, map[string]int32{"east": 6, "west": 4, "south": 2}); err != nil {
		return err
	}
	return d.show(ctx)
}

// expect waits until each member has so many ready replicas, and the hub says so, and no member has what it should not.
func (d *demo) expect(ctx context.Context, wanted map[string]int32) error {
	err := eventually(ctx, "the members have their shares", func(ctx context.Context) error {
		for name, replicas := range wanted {
			found := &appsv1.Deployment{}
			if err := d.clients[name].Get(ctx, web, found); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if ptr.Deref(found.Spec.Replicas, 0) != replicas || found.Status.ReadyReplicas != replicas {
				return fmt.Errorf("%s has %d of %d replicas ready, not %d of %d", name,
					found.Status.ReadyReplicas, ptr.Deref(found.Spec.Replicas, 0), replicas, replicas)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return eventually(ctx, "the hub says the same", func(ctx context.Context) error {
		found := &appsv1.Deployment{}
		if err := d.hubClient.Get(ctx, web, found); err != nil {
			return err
		}
		var sum int32
		for _, replicas := range wanted {
			sum += replicas
		}
		if found.Status.ReadyReplicas < sum || found.Status.ObservedGeneration != found.Generation {
			return fmt.Errorf("the hub says that %d of %d replicas are ready", found.Status.ReadyReplicas, sum)
		}
		return nil
	})
}

// show prints what the hub says and what each member has.
func (d *demo) show(ctx context.Context) error {
	if err := d.hanse(ctx, "status", "deployment/web", "-n", "shop"); err != nil {
		return err
	}
	fmt.Println("   asked at the members themselves:")
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "   MEMBER\tREADY\tIMAGE\tCONFIGMAPS\tSECRETS\tADDRESS")
	for _, name := range d.names {
		fmt.Fprintln(table, "   "+strings.Join(d.memberRow(ctx, name), "\t"))
	}
	return table.Flush()
}

func (d *demo) memberRow(ctx context.Context, name string) []string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c := d.clients[name]
	deployment := &appsv1.Deployment{}
	if err := c.Get(ctx, web, deployment); err != nil {
		return []string{name, "does not answer", "", "", "", ""}
	}
	service, configs, secrets := &corev1.Service{}, &corev1.ConfigMapList{}, &corev1.SecretList{}
	ours := client.HasLabels{v1alpha1.HubLabel}
	in := client.InNamespace(web.Namespace)
	if err := errors.Join(c.Get(ctx, web, service), c.List(ctx, configs, in, ours), c.List(ctx, secrets, in, ours)); err != nil {
		return []string{name, err.Error(), "", "", "", ""}
	}
	address := ""
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		address = ingress.IP
	}
	return []string{
		name,
		fmt.Sprintf("%d/%d", deployment.Status.ReadyReplicas, ptr.Deref(deployment.Spec.Replicas, 0)),
		deployment.Spec.Template.Spec.Containers[0].Image,
		fmt.Sprint(len(configs.Items)),
		fmt.Sprint(len(secrets.Items)),
		address,
	}
}

// ask queries DNS as so many clients would, and checks the shares against those that the hub promises.
func (d *demo) ask(ctx context.Context, queries int) error {
	promised := &v1alpha1.GlobalService{}
	err := eventually(ctx, "DNS answers for every member that is ready", func(ctx context.Context) error {
		if err := d.hubClient.Get(ctx, web, promised); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(promised.Status.Conditions, v1alpha1.ConditionReady) {
			return errors.New("the name is not served yet")
		}
		for _, c := range promised.Status.Clusters {
			if len(c.Addresses) == 0 && c.Weight > 0 {
				return fmt.Errorf("%s has no address yet", c.Name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	counts, err := d.firstAddresses(ctx, queries)
	if err != nil {
		return err
	}
	fmt.Printf("   %d queries for %s; a client takes one of the addresses of its answer:\n", queries, promised.Status.Hostnames[0])
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "   MEMBER\tADDRESS\tHEALTH\tPROMISED\tTAKEN")
	for _, c := range promised.Status.Clusters {
		taken := 0
		for _, address := range c.Addresses {
			taken += counts[address]
		}
		fmt.Fprintf(table, "   %s\t%s\t%s\t%s\t%.1f%%\n", c.Name, strings.Join(c.Addresses, " "), c.Health, c.Share,
			100*float64(taken)/float64(queries))
		var share float64
		if _, err := fmt.Sscanf(c.Share, "%f%%", &share); err != nil {
			return fmt.Errorf("reading the share of %s: %w", c.Name, err)
		}
		// Four standard deviations of 300 draws are less than 12 points.
		if off := 100*float64(taken)/float64(queries) - share; off > 12 || off < -12 {
			return fmt.Errorf("%s was answered to %d of %d, promised %s", c.Name, taken, queries, c.Share)
		}
	}
	return table.Flush()
}

// firstAddresses counts which address a client takes that takes the first one, after a resolver has turned the order
// of the records at will (here: by the number of the query).
func (d *demo) firstAddresses(ctx context.Context, queries int) (map[string]int, error) {
	counts := map[string]int{}
	for i := range queries {
		question := new(dns.Msg).SetQuestion("web.shop.example.org.", dns.TypeA)
		answer, _, err := new(dns.Client).ExchangeContext(ctx, question, d.dnsAddr)
		if err != nil {
			return nil, fmt.Errorf("asking DNS: %w", err)
		}
		if answer.Rcode != dns.RcodeSuccess || len(answer.Answer) == 0 {
			return nil, fmt.Errorf("DNS answered %s with %d records", dns.RcodeToString[answer.Rcode], len(answer.Answer))
		}
		if a, ok := answer.Answer[i%len(answer.Answer)].(*dns.A); ok {
			counts[a.A.String()]++
		}
	}
	return counts, nil
}

func (d *demo) scale(ctx context.Context) error {
	fmt.Println("   $ kubectl scale deployment/web -n shop --replicas=18")
	if err := d.patch(ctx, d.hubClient, `{"spec":{"replicas":18}}`); err != nil {
		return err
	}
	if err := d.expect(ctx, map[string]int32{"east": 9, "west": 6, "south": 3}); err != nil {
		return err
	}
	return d.show(ctx)
}

func (d *demo) patch(ctx context.Context, c client.Client, patch string) error {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: web.Namespace, Name: web.Name}}
	if err := c.Patch(ctx, deployment, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		return fmt.Errorf("patching the deployment: %w", err)
	}
	return nil
}

func (d *demo) drift(ctx context.Context) error {
	fmt.Println("   $ kubectl --kubeconfig west scale deployment/web -n shop --replicas=1")
	if err := d.patch(ctx, d.clients["west"], `{"spec":{"replicas":1}}`); err != nil {
		return err
	}
	return d.expect(ctx, map[string]int32{"east": 9, "west": 6, "south": 3})
}

// kill stops a member with SIGKILL and shows that it is unknown, not zero, that the others take over, and that DNS leaves
// it out.
func (d *demo) kill(ctx context.Context) error {
	fmt.Println("   every process of south is killed (SIGKILL)")
	if err := d.members["south"].Kill(cluster.All); err != nil {
		return err
	}
	if err := d.expect(ctx, map[string]int32{"east": 11, "west": 7}); err != nil {
		return err
	}
	err := eventually(ctx, "DNS leaves south out", func(ctx context.Context) error {
		found := &v1alpha1.GlobalService{}
		if err := d.hubClient.Get(ctx, web, found); err != nil {
			return err
		}
		if strings.Contains(found.Status.Summary, "south") {
			return fmt.Errorf("shares are %s", found.Status.Summary)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(d.hanse(ctx, "clusters"), d.show(ctx), d.ask(ctx, 300))
}

// revive starts the member again: what it has too many is taken away, nothing else moves.
func (d *demo) revive(ctx context.Context) error {
	if err := d.members["south"].Start(cluster.All); err != nil {
		return err
	}
	err := eventually(ctx, "south has given back what the others took over", func(ctx context.Context) error {
		found := &v1alpha1.Distribution{}
		key := client.ObjectKey{Namespace: web.Namespace, Name: "deployment.apps-web"}
		if err := d.hubClient.Get(ctx, key, found); err != nil {
			return err
		}
		if len(found.Spec.Leaving) > 0 || !meta.IsStatusConditionTrue(found.Status.Conditions, v1alpha1.ConditionApplied) {
			return fmt.Errorf("%s, leaving %v", found.Status.Summary, found.Spec.Leaving)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Println("   Replicas stay where they went (failover.comeBack: false); a scale evens them out,")
	fmt.Println("   once the member has stayed ready for a while (failover.after).")
	if err := d.trusted(ctx, "south"); err != nil {
		return err
	}
	fmt.Println("   $ kubectl scale deployment/web -n shop --replicas=24")
	if err := d.patch(ctx, d.hubClient, `{"spec":{"replicas":24}}`); err != nil {
		return err
	}
	err = eventually(ctx, "south has its share again", func(ctx context.Context) error {
		found := &appsv1.Deployment{}
		if err := d.clients["south"].Get(ctx, web, found); err != nil {
			return err
		}
		if found.Status.ReadyReplicas == 0 {
			return errors.New("no replica is ready")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(d.hanse(ctx, "clusters"), d.show(ctx))
}

// failoverAfter is what the Placement says: a member that came back gets nothing new until it has stayed that long.
const failoverAfter = 5 * time.Second

// trusted waits until a member has been ready for long enough.
func (d *demo) trusted(ctx context.Context, name string) error {
	return eventually(ctx, name+" is trusted again", func(ctx context.Context) error {
		found := &v1alpha1.Cluster{}
		if err := d.hubClient.Get(ctx, client.ObjectKey{Name: name}, found); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(found.Status.Conditions, v1alpha1.ClusterConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue {
			return errors.New("it is not ready")
		}
		if since := time.Since(ready.LastTransitionTime.Time); since < failoverAfter+time.Second {
			return fmt.Errorf("it has been ready for %s", since)
		}
		return nil
	})
}
