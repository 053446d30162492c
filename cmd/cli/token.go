package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// tokenRequest is what token is asked for.
type tokenRequest struct {
	account    string
	duration   time.Duration
	create     bool
	role       string
	kubeconfig bool
}

func newToken(hub *access) *cobra.Command {
	var req tokenRequest
	c := &cobra.Command{
		Use:   "token SERVICEACCOUNT",
		Short: "A token for the hub, for a pipeline or a person",
		Long: `Print a token of a ServiceAccount on the hub, or a whole kubeconfig with it.

With --create the ServiceAccount is made if it is missing; --role gives it a ClusterRole (view, edit, admin or one of
your own) in its namespace. The token cannot be taken back before it ends, except by deleting the ServiceAccount.`,
		Example: `  hanse token deployer -n shop --create --role edit --as-kubeconfig > deployer.kubeconfig`,
		Args:    oneArg("the SERVICEACCOUNT"),
		RunE: func(c *cobra.Command, args []string) error {
			req.account = args[0]
			if req.role != "" && !req.create {
				return usagef("--role goes with --create")
			}
			if req.duration < 10*time.Minute {
				return usagef("--duration %s: a token lasts at least 10m", req.duration)
			}
			h, err := hub.connect()
			if err != nil {
				return err
			}
			return runToken(c, h, req)
		},
	}
	f := c.Flags()
	f.DurationVar(&req.duration, "duration", 24*time.Hour, "how long the token lasts; the hub may give less")
	f.BoolVar(&req.create, "create", false, "make the ServiceAccount if it is missing")
	f.StringVar(&req.role, "role", "", "with --create: ClusterRole that it gets in its namespace")
	f.BoolVar(&req.kubeconfig, "as-kubeconfig", false, "print a kubeconfig instead of the bare token")
	return c
}

func runToken(c *cobra.Command, h *hubAPI, req tokenRequest) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: req.account}}
	if req.create {
		if err := createAccount(c, h, account, req.role); err != nil {
			return err
		}
	}
	seconds := int64(req.duration.Seconds())
	ask := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	err := h.SubResource("token").Create(c.Context(), account, ask)
	if apierrors.IsNotFound(err) {
		return failure("Make it with --create, or name its namespace with --namespace.",
			"there is no ServiceAccount %s in the namespace %s on %s", req.account, h.namespace, h.what)
	}
	if err != nil {
		return enroll.Diagnose(h.what, err)
	}
	if !req.kubeconfig {
		_, err = fmt.Fprintln(c.OutOrStdout(), ask.Status.Token)
		return err
	}
	raw, err := kubeconfigWith(h.config, h.namespace, req.account, ask.Status.Token)
	if err != nil {
		return err
	}
	_, err = c.OutOrStdout().Write(raw)
	return err
}

// createAccount makes the account, and the binding of its role under the name of both.
func createAccount(c *cobra.Command, h *hubAPI, account *corev1.ServiceAccount, role string) error {
	objects := []client.Object{account}
	if role != "" {
		objects = append(objects, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, Name: account.Name + "-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name}},
		})
	}
	for _, obj := range objects {
		err := client.IgnoreAlreadyExists(h.Create(c.Context(), obj))
		if apierrors.IsNotFound(err) {
			return failure("Make it with kubectl create namespace, or name another with --namespace.",
				"there is no namespace %s on %s", account.Namespace, h.what)
		}
		if err != nil {
			return enroll.Diagnose(h.what, err)
		}
	}
	return nil
}

func kubeconfigWith(hub *rest.Config, namespace, user, token string) ([]byte, error) {
	hub = rest.CopyConfig(hub)
	if err := rest.LoadTLSFiles(hub); err != nil {
		return nil, fmt.Errorf("reading the CA of the hub: %w", err)
	}
	k := clientcmdapi.NewConfig()
	k.Clusters["hanse"] = &clientcmdapi.Cluster{Server: hub.Host, CertificateAuthorityData: hub.CAData,
		TLSServerName: hub.ServerName, InsecureSkipTLSVerify: hub.Insecure}
	k.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	k.Contexts["hanse"] = &clientcmdapi.Context{Cluster: "hanse", AuthInfo: user, Namespace: namespace}
	k.CurrentContext = "hanse"
	raw, err := clientcmd.Write(*k)
	if err != nil {
		return nil, fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return raw, nil
}
