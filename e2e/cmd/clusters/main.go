// Command clusters brings up member clusters by hand, and builds what they
// are made of.
//
//	go run ./cmd/clusters build [v1.36.3]
//	go run ./cmd/clusters up east west south --nodes 3
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hanse-federation/hanse/e2e/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:          "clusters",
		Short:        "Real Kubernetes clusters on this machine, for tests and for trying things out",
		SilenceUsage: true,
	}
	root.AddCommand(buildCommand(), upCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		os.Exit(1)
	}
}

func buildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "build [VERSION]",
		Short: "Build the programs of a cluster, so that tests need not wait for it",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				_, err := cluster.FindPrograms(cmd.Context(), cmd.ErrOrStderr(), args[0])
				return err
			}
			_, err := cluster.Default(cmd.Context(), cmd.ErrOrStderr())
			return err
		},
	}
}

func upCommand() *cobra.Command {
	opts := cluster.Options{Controllers: true}
	cmd := &cobra.Command{
		Use:   "up NAME...",
		Short: "Bring up clusters and keep them until Ctrl-C",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			return up(cmd.Context(), cmd, names, opts)
		},
	}
	cmd.Flags().StringVar(&opts.Dir, "dir", "", "folder for the clusters' data (default a temporary one)")
	cmd.Flags().IntVar(&opts.Nodes, "nodes", 3, "nodes of each cluster")
	cmd.Flags().BoolVar(&opts.Controllers, "controllers", true, "run controllers and scheduler")
	cmd.Flags().StringVar(&opts.Version, "kubernetes", "", "another release of Kubernetes, such as v1.36.3")
	cmd.Flags().StringSliceVar(&opts.Zones, "zone", nil, "zones that the nodes are dealt to")
	return cmd
}

// up makes all clusters at once and deletes them when the context ends.
func up(ctx context.Context, cmd *cobra.Command, names []string, opts cluster.Options) error {
	provider, err := cluster.Default(ctx, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	clusters := make([]cluster.Cluster, len(names))
	failures := make([]error, len(names))
	var creating sync.WaitGroup
	for i, name := range names {
		creating.Go(func() {
			began := time.Now()
			if clusters[i], failures[i] = provider.Create(ctx, name, opts); failures[i] == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is ready after %.1f s: export KUBECONFIG=%s\n",
					name, time.Since(began).Seconds(), clusters[i].Kubeconfig())
			}
		})
	}
	creating.Wait()
	err = errors.Join(failures...)
	if err == nil {
		fmt.Fprintln(cmd.OutOrStdout(), "Ctrl-C ends them.")
		<-ctx.Done()
	}
	for _, c := range clusters {
		if c != nil {
			err = errors.Join(err, c.Delete())
		}
	}
	return err
}
