// Command kubernetes is a Kubernetes control plane in one file: kube-apiserver,
// kube-controller-manager, kube-scheduler and kubectl, chosen by the name it is
// called by or by its first argument. One file, because the four share nearly
// all of their code: linked apart they would be four times as large on disk
// and in the page cache.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	program := filepath.Base(os.Args[0])
	if program == "kubernetes" && len(os.Args) > 1 {
		program, os.Args = os.Args[1], os.Args[1:]
	}
	var command *cobra.Command
	switch program {
	case "kube-apiserver":
		command = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		command = controllers.NewControllerManagerCommand()
	case "kube-scheduler":
		command = scheduler.NewSchedulerCommand()
	case "kubectl":
		// kubectl prints its errors itself and has exit codes of its own.
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			kubectlutil.CheckErr(err)
		}
		return
	default:
		fmt.Fprintf(os.Stderr, "kubernetes: no program %q\n", program)
		os.Exit(2)
	}
	os.Exit(cli.Run(command))
}
