package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/hanse-federation/hanse/api/printable"
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run runs the command line and returns the exit code (see the package's doc). The first argument is the name of the
// program.
func Run(ctx context.Context, args []string, streams Streams) int {
	klog.LogToStderr(false) // client-go's remarks are about itself; its errors reach us as values
	klog.SetOutput(io.Discard)

	// Much of what commands show was written by tenants and members: no command prints it raw by mistake.
	streams.Out, streams.Err = printable.NewWriter(streams.Out), printable.NewWriter(streams.Err)
	root := newRoot(filepath.Base(args[0]), streams)
	root.SetArgs(args[1:])
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	return printFailure(streams.Err, command, err)
}

// newRoot is the table of contents: the subcommands by what they are about.
func newRoot(program string, streams Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "hanse",
		Short: "One control plane for many Kubernetes clusters",
		Long: `One control plane for many Kubernetes clusters.

"hanse hub" runs a hub. "hanse join" makes a cluster its member. Then use kubectl, helm or any other tool on the
hub's kubeconfig, and say where things go with "hanse place" or a Placement object.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	if strings.HasPrefix(program, "kubectl-") {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl hanse"}
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })

	hub := &access{}
	hub.flags(root.PersistentFlags())
	groups := []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"run", "Run a hub:", []*cobra.Command{newHub(), newBackup(), newRestore()}},
		{"members", "Members:", []*cobra.Command{
			newJoin(hub), newUnjoin(hub), newClusters(hub), newDrain(hub), newUncordon(hub),
			newLeftovers(hub)}},
		{"work", "What goes where:", []*cobra.Command{newPlan(hub), newPlace(hub), newStatus(hub), newExplain(hub),
			newVerify(hub)}},
		{"inside", "In the members:", []*cobra.Command{newGet(hub), newLogs(hub), newExec(hub), newKubeconfig(hub)}},
		{"more", "More:", []*cobra.Command{newDNS(hub), newKindRule(), newToken(hub), newVersion(hub)}},
	}
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.SetHelpCommandGroupID("more")
	root.SetCompletionCommandGroupID("more")
	everyArgumentCheckIsUsage(root)
	return root
}

// everyArgumentCheckIsUsage gives wrong arguments the exit code of a wrong command line.
func everyArgumentCheckIsUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error { return usage(check(cmd, args)) }
	}
	for _, sub := range c.Commands() {
		everyArgumentCheckIsUsage(sub)
	}
}

// oneArg demands one argument and says which when it is missing.
func oneArg(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("%s is missing", name)
		case len(args) > 1:
			return fmt.Errorf("one %s, not %d: %s", name, len(args), strings.Join(args, " "))
		case args[0] == "":
			return errors.New(name + " is empty")
		}
		return nil
	}
}
