package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
	"github.com/hanse-federation/hanse/federation/member/orphans"
)

func newLeftovers(hub *access) *cobra.Command {
	var remove, release bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "leftovers [CLUSTER]",
		Short: "List objects in members that carry the hub's labels and that no decision accounts for",
		Long: `Objects in members that carry the hub's labels and that no decision accounts for: copies that are newer than the backup
from which the hub was restored, or whose bookkeeping somebody removed by hand. They keep running until you decide about
them:

  take over   apply their manifests to the hub again, placed with onConflict: Adopt (annotation hanse.io/on-conflict)
  --remove    delete them in the member; what was there before the hub, and a namespace or a definition that
              others have objects in, stays without its marks
  --release   leave them in the member, without the hub's marks

The hub looks soon after a member can be worked with, and hourly. --remove and --release are about the list as it is
shown; where the member has something else by then, nothing is done.`,
		Example: `  hanse leftovers
  hanse leftovers east --release`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeClusters(hub),
	}
	output := formatFlag(c, asJSON, asYAML, asName)
	c.Flags().BoolVar(&remove, "remove", false, "delete them in the member")
	c.Flags().BoolVar(&release, "release", false, "leave them in the member, without the hub's marks")
	c.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long to wait for --remove or --release")
	c.RunE = func(c *cobra.Command, args []string) error {
		isRequest := remove || release
		switch {
		case remove && release:
			return usagef("--remove or --release, not both")
		case isRequest && len(args) == 0:
			return usagef("--remove and --release need the CLUSTER")
		}
		h, err := hub.connect()
		if err != nil {
			return err
		}
		list, err := h.clusters(c.Context(), args)
		if err != nil {
			return err
		}
		if err := leftoverTable(list).print(c, *output); err != nil || !isRequest {
			return err
		}
		way := orphans.Release
		if remove {
			way = orphans.Remove
		}
		return settleLeftovers(c, h, &list.Items[0], way, timeout)
	}
	return c
}

// clusters are the named member, or all.
func (h *hubAPI) clusters(ctx context.Context, names []string) (*v1alpha1.ClusterList, error) {
	list := &v1alpha1.ClusterList{}
	if len(names) == 0 {
		if err := h.List(ctx, list); err != nil {
			return nil, enroll.Diagnose(h.what, err)
		}
		return list, nil
	}
	list.Items = make([]v1alpha1.Cluster, 1)
	err := h.Get(ctx, client.ObjectKey{Name: names[0]}, &list.Items[0])
	if apierrors.IsNotFound(err) {
		return nil, noSuchCluster(h, names[0])
	}
	if err != nil {
		return nil, enroll.Diagnose(h.what, err)
	}
	return list, nil
}

func leftoverTable(list *v1alpha1.ClusterList) printed {
	all := map[string]*v1alpha1.Leftovers{}
	p := printed{value: all, empty: "the hub knows all that carries its mark in the members",
		head: []string{"CLUSTER", "NAMESPACE", "KIND", "NAME", "STILL THERE BECAUSE"}}
	for i := range list.Items {
		cluster, left := &list.Items[i], list.Items[i].Status.Leftovers
		if left == nil {
			continue
		}
		all[cluster.Name] = left
		for _, o := range left.Objects {
			p.names = append(p.names, cluster.Name+"/"+o.Kind+"/"+o.Namespace+"/"+o.Name)
			p.rows = append(p.rows, []string{cluster.Name, o.Namespace, o.Kind, o.Name, o.Message})
		}
		if more := int(left.Count) - len(left.Objects); more > 0 {
			p.rows = append(p.rows, []string{cluster.Name, "", "and " + strconv.Itoa(more) + " more", "", ""})
		}
	}
	return p
}

// settleLeftovers asks the hub to do as said with what was shown, and waits until it has.
func settleLeftovers(
	c *cobra.Command, h *hubAPI, cluster *v1alpha1.Cluster, way orphans.Way, timeout time.Duration,
) error {
	if cluster.Status.Leftovers == nil {
		return nil
	}
	request := orphans.Request{Way: way, Digest: cluster.Status.Leftovers.Digest}.String()
	before := cluster.DeepCopy()
	if cluster.Annotations == nil {
		cluster.Annotations = map[string]string{}
	}
	cluster.Annotations[v1alpha1.LeftoversAnnotation] = request
	if err := h.Patch(c.Context(), cluster, client.MergeFrom(before)); err != nil {
		return enroll.Diagnose(h.what, err)
	}
	ctx, cancel := context.WithTimeout(c.Context(), timeout)
	defer cancel()
	p := startProgress(c.ErrOrStderr())
	defer p.stop()
	p.say("waiting for the hub")
	err := poll(ctx, func() (bool, error) {
		err := h.Get(ctx, client.ObjectKeyFromObject(cluster), cluster)
		if apierrors.IsNotFound(err) {
			cluster.Annotations, cluster.Status.Leftovers = nil, nil // it has left
			return true, nil
		}
		return cluster.Annotations[v1alpha1.LeftoversAnnotation] != request, err
	})
	p.stop()
	left := cluster.Status.Leftovers
	switch {
	case ctx.Err() != nil && c.Context().Err() == nil:
		return &enroll.Problem{Reason: enroll.WaitEnded, What: fmt.Sprintf("it is not done after %s", timeout),
			Next: "The hub goes on with it. hanse leftovers " + cluster.Name + " says how far it is."}
	case err != nil:
		return enroll.Diagnose(h.what, err)
	case left != nil:
		return &enroll.Problem{Reason: enroll.WaitEnded,
			What: fmt.Sprintf("%d objects are left over in %s", left.Count, cluster.Name),
			Next: "hanse leftovers " + cluster.Name + " says which, and why. If the list has changed meanwhile, ask again."}
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "nothing is left over in cluster %s\n", cluster.Name)
	return err
}
