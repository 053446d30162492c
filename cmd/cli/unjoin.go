package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hanse-federation/hanse/federation/member/enroll"
)

func newUnjoin(hub *access) *cobra.Command {
	var req enroll.LeaveRequest
	var kubeconfig, clusterContext string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "unjoin NAME",
		Short: "Let a member leave the hub",
		Long: `Let a member leave the hub: the hub removes from the cluster what it put there, and its account.

What was placed there goes to the other members as the placements say. With --orphan the copies stay in the cluster
and run on, without the hub's marks. With --force nothing waits for the cluster: for one that is gone for good, or
whose credentials are.`,
		Args:              oneArg("the NAME of the cluster"),
		ValidArgsFunction: completeClusters(hub),
		RunE: func(c *cobra.Command, args []string) error {
			req.Name = args[0]
			if kubeconfig != "" && !req.Force {
				return usagef("--cluster-kubeconfig is for --force only: otherwise the hub has its own account there")
			}
			if kubeconfig != "" {
				member, err := memberConfig(kubeconfig, clusterContext)
				if err != nil {
					return err
				}
				req.Member = member
			}
			h, err := hub.connect()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			p := startProgress(c.ErrOrStderr())
			defer p.stop()
			if err := enroll.Unjoin(ctx, h.config, req, p.say); err != nil {
				return err
			}
			p.stop()
			_, err = fmt.Fprintf(c.OutOrStdout(), "cluster %s left\n", req.Name)
			return err
		},
	}
	f := c.Flags()
	f.BoolVar(&req.Orphan, "orphan", false, "leave the copies in the cluster, without our marks")
	f.BoolVar(&req.Force, "force", false, "do not wait for the cluster; it may keep copies and account")
	f.StringVar(&kubeconfig, "cluster-kubeconfig", "",
		"with --force: kubeconfig of the cluster's administrator, to remove the hub's account there")
	f.StringVar(&clusterContext, "cluster-context", "", "context in it (default: its current one)")
	f.DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait")
	return c
}
