package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
)

func newClusters(hub *access) *cobra.Command {
	c := &cobra.Command{
		Use:     "clusters",
		Aliases: []string{"members"},
		Short:   "The members: which are ready, which are not and why",
		Args:    cobra.NoArgs,
	}
	output := formatFlag(c, asWide, asJSON, asYAML, asName)
	c.RunE = func(c *cobra.Command, _ []string) error {
		h, err := hub.connect()
		if err != nil {
			return err
		}
		var list v1alpha1.ClusterList
		if err := h.List(c.Context(), &list); err != nil {
			return enroll.Diagnose(h.what, err)
		}
		if err := clusterTable(&list, time.Now()).print(c, *output); err != nil {
			return err
		}
		for _, cluster := range list.Items {
			if left := cluster.Status.Leftovers; left != nil {
				_, _ = fmt.Fprintf(c.ErrOrStderr(), "%d objects in %s carry the hub's mark, and the hub knows nothing of them: "+
					"hanse leftovers %s\n", left.Count, cluster.Name, cluster.Name)
			}
		}
		return nil
	}
	return c
}

func clusterTable(list *v1alpha1.ClusterList, now time.Time) printed {
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ClusterList"))
	p := printed{
		value: list, empty: "no cluster has joined; hanse join makes one a member",
		head: []string{"NAME", "READY", "SCHEDULING", "VERSION", "NODES", "REGION", "SEEN", "AGE",
			"PROVIDER", "SERVER", "REASON"},
		wide: 3,
	}
	for i := range list.Items {
		cluster := &list.Items[i]
		ready, why := "Unknown", ""
		if c := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ClusterConditionReady); c != nil {
			ready, why = string(c.Status), c.Reason+": "+c.Message
		}
		seen := ago(cluster.Status.LastSeen, now)
		switch {
		case ready == "True":
			seen = "now" // else it would not be
		case seen != "":
			seen += " ago"
		}
		p.names = append(p.names, "cluster/"+cluster.Name)
		p.rows = append(p.rows, []string{cluster.Name, ready, schedulingOf(cluster), cluster.Status.KubernetesVersion,
			nodesOf(cluster), cluster.Spec.Region, seen, ago(&cluster.CreationTimestamp, now), cluster.Spec.Provider,
			cluster.Spec.Connection.Server, why})
	}
	return p
}

// schedulingOf says what a member takes: nothing new, nothing at all, no writes, or everything.
func schedulingOf(cluster *v1alpha1.Cluster) string {
	var is []string
	switch {
	case cluster.DeletionTimestamp != nil:
		is = append(is, "Leaving")
	case isDrained(cluster):
		is = append(is, "Drained")
	case cluster.Spec.Unschedulable:
		is = append(is, "Cordoned")
	}
	if cluster.Spec.Paused {
		is = append(is, "Paused")
	}
	if len(is) == 0 {
		return "Enabled"
	}
	return strings.Join(is, ",")
}

func nodesOf(cluster *v1alpha1.Cluster) string {
	if cluster.Status.Nodes == nil {
		return "?"
	}
	return fmt.Sprintf("%d/%d", cluster.Status.Nodes.Ready, cluster.Status.Nodes.Total)
}

// completeClusters offers the names of the members to the shell.
func completeClusters(hub *access) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		h, err := hub.connect()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		h.config.Timeout = 2 * time.Second
		var list v1alpha1.ClusterList
		if err := h.List(c.Context(), &list); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, cluster := range list.Items {
			names = append(names, cluster.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
