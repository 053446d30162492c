package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
)

func newJoin(hub *access) *cobra.Command {
	var req enroll.Request
	var kubeconfig, clusterContext string
	var labels []string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "join NAME --cluster-kubeconfig FILE",
		Short: "Make a cluster a member of the hub",
		Long: fmt.Sprintf(`Make a cluster a member of the hub.

In the cluster this makes an account with the rights that the hub needs (see README, "What the hub may do in a
member"), and on the hub a Cluster with the account's token, which the hub renews by itself. The hub must reach the
cluster's API server; the cluster need not reach the hub. Supported are Kubernetes 1.%d to 1.%d.

A join that fails leaves nothing behind. "hanse unjoin NAME" undoes it.`, enroll.OldestMinor, enroll.NewestMinor),
		Example: `  hanse join east --cluster-kubeconfig ~/.kube/east --region eu-west-1 --label env=prod
  hanse join west --cluster-kubeconfig ~/.kube/west --impersonate group:developers --impersonate group:oncall
  hanse join edge --cluster-kubeconfig ~/.kube/edge --server https://10.7.0.4:6443`,
		Args: oneArg("the NAME of the cluster"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			req.Name = args[0]
			if req.Labels, err = parseLabels(labels); err != nil {
				return err
			}
			return runJoin(c, hub, kubeconfig, clusterContext, req, timeout)
		},
	}
	f := c.Flags()
	f.StringVar(&kubeconfig, "cluster-kubeconfig", "", "kubeconfig of the cluster's administrator")
	f.StringVar(&clusterContext, "cluster-context", "", "context in it (default: its current one)")
	f.StringVar(&req.Server, "server", "", "https URL at which the hub reaches the cluster (default: the kubeconfig's)")
	f.StringVar(&req.Region, "region", "", "region of the cluster, such as eu-west-1")
	f.StringSliceVar(&req.Zones, "zone", nil, "zone of the cluster; may be repeated")
	f.StringVar(&req.Provider, "provider", "", "provider of the cluster, such as aws")
	f.StringSliceVar(&labels, "label", nil, "label of the Cluster, key=value, for placements; may be repeated")
	f.BoolVar(&req.ClusterAdmin, "cluster-admin", false, "give the hub every right in the cluster")
	f.StringSliceVar(&req.APIGroups, "api-group", nil,
		"let the hub also write the resources of this API group, for custom resources; may be repeated")
	f.StringSliceVar(&req.Impersonate, "impersonate", nil,
		"let the hub act as these in the cluster, for kubectl, hanse logs and hanse exec through the hub: user:NAME, "+
			"group:NAME, or all (includes system:masters); may be repeated")
	f.BoolVar(&req.Renew, "renew", false, "recreate the account, its permissions and the token of a member that joined before")
	f.DurationVar(&timeout, "timeout", time.Minute, "how long to wait until the hub sees it Ready; 0: not at all")
	_ = c.MarkFlagFilename("cluster-kubeconfig")
	return c
}

// parseLabels reads key=value terms.
func parseLabels(terms []string) (map[string]string, error) {
	labels := map[string]string{}
	for _, term := range terms {
		key, value, ok := strings.Cut(term, "=")
		faults := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...)
		if !ok {
			faults = []string{"there is no ="}
		}
		if len(faults) > 0 {
			return nil, usagef("--label %q is not key=value: %s", term, faults[0])
		}
		labels[key] = value
	}
	return labels, nil
}

func runJoin(c *cobra.Command, hub *access, kubeconfig, clusterContext string, req enroll.Request,
	timeout time.Duration) error {
	member, err := memberConfig(kubeconfig, clusterContext)
	if err != nil {
		return err
	}
	h, err := hub.connect()
	if err != nil {
		return err
	}
	p := startProgress(c.ErrOrStderr())
	defer p.stop()
	cluster, err := enroll.Join(c.Context(), h.config, member, req, time.Now(), p.say)
	if err != nil {
		return err
	}
	verb := "joined"
	if req.Renew {
		verb = "renewed"
	}
	if timeout == 0 {
		p.stop()
		_, err := fmt.Fprintf(c.OutOrStdout(), "cluster %s %s\n", req.Name, verb)
		return err
	}
	p.say("waiting for the hub to see the cluster Ready")
	cluster, err = waitReady(c.Context(), h, cluster, timeout)
	p.stop()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "cluster %s %s: Kubernetes %s\n",
		req.Name, verb, cluster.Status.KubernetesVersion)
	return err
}

// waitReady waits until the hub has worked in the new member.
func waitReady(ctx context.Context, h *hubAPI, cluster *v1alpha1.Cluster, timeout time.Duration) (
	*v1alpha1.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	said := "the hub has not looked at it yet"
	err := poll(ctx, func() (bool, error) {
		if err := h.Get(ctx, client.ObjectKeyFromObject(cluster), cluster); err != nil {
			return false, err
		}
		ready := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ClusterConditionReady)
		if ready != nil {
			said = ready.Reason + ": " + ready.Message
		}
		// The version comes with the first look around, a moment after the first answer.
		return ready != nil && ready.Status == metav1.ConditionTrue && cluster.Status.KubernetesVersion != "", nil
	})
	if ctx.Err() != nil {
		return nil, &enroll.Problem{Reason: enroll.WaitEnded,
			What: fmt.Sprintf("%s has joined, but the hub does not see it Ready after %s (%s)", cluster.Name, timeout, said),
			Next: fmt.Sprintf("See hanse clusters. If the hub needs another address: hanse unjoin %s --force, "+
				"then join with --server.", cluster.Name)}
	}
	return cluster, enroll.Diagnose(h.what, err)
}

// poll looks until done says so, fails, or the context ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
