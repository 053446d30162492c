package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// drainTaint moves what is in a member to the others; only what tolerates it stays.
const drainTaint = v1alpha1.Prefix + "drained"

func newDrain(hub *access) *cobra.Command {
	var cordonOnly bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "drain CLUSTER",
		Short: "Move everything out of a member, and place nothing new there",
		Long: `Move everything out of a member, and place nothing new there: for an upgrade, or before it leaves.

The member stays joined. What was placed there goes to the other members as the placements allow; the command waits
until the hub's copies have left, and lists what cannot leave. "hanse uncordon CLUSTER" opens it again.`,
		Args:              oneArg("the CLUSTER"),
		ValidArgsFunction: completeClusters(hub),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := hub.connect()
			if err != nil {
				return err
			}
			if err := setScheduling(c.Context(), h, args[0], true, !cordonOnly); err != nil {
				return err
			}
			if cordonOnly {
				_, err := fmt.Fprintf(c.OutOrStdout(), "cluster %s cordoned\n", args[0])
				return err
			}
			return waitDrained(c, h, args[0], timeout)
		},
	}
	c.Flags().BoolVar(&cordonOnly, "cordon-only", false, "place nothing new there, but leave what is there")
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait; 0: not at all")
	return c
}

func newUncordon(hub *access) *cobra.Command {
	return &cobra.Command{
		Use:               "uncordon CLUSTER",
		Short:             "Open a drained member again",
		Args:              oneArg("the CLUSTER"),
		ValidArgsFunction: completeClusters(hub),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := hub.connect()
			if err != nil {
				return err
			}
			if err := setScheduling(c.Context(), h, args[0], false, false); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "cluster %s uncordoned\n", args[0])
			return err
		},
	}
}

func isDrainTaint(t v1alpha1.Taint) bool { return t.Key == drainTaint }

func isDrained(cluster *v1alpha1.Cluster) bool {
	return slices.ContainsFunc(cluster.Spec.Taints, isDrainTaint)
}

// setScheduling closes or opens a member; other taints stay.
func setScheduling(ctx context.Context, h *hubAPI, name string, cordoned, drained bool) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		var cluster v1alpha1.Cluster
		if err := h.Get(ctx, client.ObjectKey{Name: name}, &cluster); err != nil {
			return err
		}
		before := cluster.DeepCopy()
		cluster.Spec.Unschedulable = cordoned
		cluster.Spec.Taints = slices.DeleteFunc(cluster.Spec.Taints, isDrainTaint)
		if drained {
			cluster.Spec.Taints = append(cluster.Spec.Taints,
				v1alpha1.Taint{Key: drainTaint, Effect: corev1.TaintEffectNoExecute})
		}
		return h.Patch(ctx, &cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	})
	if apierrors.IsNotFound(err) {
		return noSuchCluster(h, name)
	}
	return enroll.Diagnose(h.what, err)
}

func noSuchCluster(h *hubAPI, name string) error {
	return failure("hanse clusters lists the members.", "there is no cluster %s on %s", name, h.what)
}

// waitDrained waits until nothing of the hub is in the member, or is meant to be.
func waitDrained(c *cobra.Command, h *hubAPI, name string, timeout time.Duration) error {
	if timeout == 0 {
		_, err := fmt.Fprintf(c.OutOrStdout(), "cluster %s is draining\n", name)
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), timeout)
	defer cancel()
	p := startProgress(c.ErrOrStderr())
	defer p.stop()
	var there []string
	err := poll(ctx, func() (bool, error) {
		var list v1alpha1.DistributionList
		if err := h.List(ctx, &list); err != nil {
			return false, err
		}
		there = placedIn(list.Items, name)
		p.say(fmt.Sprintf("%d objects are still in %s", len(there), name))
		return len(there) == 0, nil
	})
	p.stop()
	if ctx.Err() != nil && c.Context().Err() == nil {
		return &enroll.Problem{Reason: enroll.WaitEnded,
			What: fmt.Sprintf("%d objects are still in %s after %s: %s", len(there), name, timeout, shorten(there, 10)),
			Next: "The hub goes on with it. hanse explain KIND/NAME says why one stays: a placement may name no other cluster."}
	}
	if err != nil {
		return enroll.Diagnose(h.what, err)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "cluster %s drained\n", name)
	return err
}

// placedIn lists the templates that are in a member, or are meant to be, as kind/namespace/name.
func placedIn(distributions []v1alpha1.Distribution, cluster string) []string {
	var there []string
	for _, d := range distributions {
		meant := slices.ContainsFunc(d.Spec.Clusters, func(c v1alpha1.DistributionCluster) bool { return c.Name == cluster })
		is := slices.ContainsFunc(d.Status.Clusters, func(c v1alpha1.ClusterOutcome) bool { return c.Name == cluster })
		if meant || is {
			t := d.Spec.Template
			there = append(there, strings.ToLower(t.Kind)+"/"+strings.TrimPrefix(t.Namespace+"/"+t.Name, "/"))
		}
	}
	slices.Sort(there)
	return there
}

// shorten lists at most n.
func shorten(all []string, n int) string {
	if len(all) > n {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:n], ", "), len(all)-n)
	}
	return strings.Join(all, ", ")
}
