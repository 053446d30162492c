package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func newKubeconfig(hub *access) *cobra.Command {
	c := &cobra.Command{
		Use:   "kubeconfig [CLUSTER...]",
		Short: "A kubeconfig for the members through the hub",
		Long: `Print a kubeconfig in which every member is a context: kubectl and all that use its files work in the member
through the hub, with your credentials for the hub and the rights that the member gives you. Without CLUSTER, of all
members.

On the hub it takes the permission to use clusters/proxy (ClusterRole hanse.io:clusters-proxy); in the member, that the
hub may act as you (hanse join --impersonate).`,
		Example: `  hanse kubeconfig > fleet.kubeconfig
  kubectl --kubeconfig fleet.kubeconfig --context east get pods`,
		ValidArgsFunction: completeClusters(hub),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		h, err := hub.connect()
		if err != nil {
			return err
		}
		names, err := h.clusterNames(c.Context(), args)
		if err != nil {
			return err
		}
		raw, err := hub.loader().RawConfig()
		if err != nil {
			return kubeconfigProblem("the hub's kubeconfig", "--kubeconfig, --context or KUBECONFIG", err)
		}
		if hub.context != "" {
			raw.CurrentContext = hub.context
		}
		out, err := membersKubeconfig(raw, h.namespace, names)
		if err != nil {
			return err
		}
		text, err := clientcmd.Write(*out)
		if err != nil {
			return fmt.Errorf("writing the kubeconfig: %w", err)
		}
		_, err = c.OutOrStdout().Write(text)
		return err
	}
	return c
}

// membersKubeconfig has a context for every member, each with the user and the trust of the hub's current context.
func membersKubeconfig(hub clientcmdapi.Config, namespace string, names []string) (*clientcmdapi.Config, error) {
	if err := clientcmdapi.MinifyConfig(&hub); err != nil {
		return nil, kubeconfigProblem("the hub's kubeconfig", "--kubeconfig, --context or KUBECONFIG", err)
	}
	if err := clientcmdapi.FlattenConfig(&hub); err != nil { // files become data, so that it works from anywhere
		return nil, kubeconfigProblem("the hub's kubeconfig", "--kubeconfig, --context or KUBECONFIG", err)
	}
	from := hub.Contexts[hub.CurrentContext]
	out := clientcmdapi.NewConfig()
	out.AuthInfos[from.AuthInfo] = hub.AuthInfos[from.AuthInfo]
	for _, name := range names {
		cluster := hub.Clusters[from.Cluster].DeepCopy()
		cluster.Server = strings.TrimSuffix(cluster.Server, "/") + "/clusters/" + name
		out.Clusters[name] = cluster
		out.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: from.AuthInfo, Namespace: namespace}
	}
	out.CurrentContext = names[0]
	return out, nil
}
