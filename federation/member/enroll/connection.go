package enroll

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member"
)

// Connection says how to reach a member, from its Cluster and the Secret that this names; the error is what a person
// should mend.
func Connection(ctx context.Context, hub client.Reader, cluster *v1alpha1.Cluster) (member.Spec, error) {
	c := cluster.Spec.Connection
	spec := member.Spec{Name: member.Name(cluster.Name), Config: member.Config{
		Server:                c.Server,
		CABundle:              c.CABundle,
		ServerName:            c.TLSServerName,
		InsecureSkipTLSVerify: c.InsecureSkipTLSVerify,
		ProxyURL:              c.ProxyURL,
	}}
	switch {
	case c.Tunnel != nil:
		return spec, fmt.Errorf("spec.connection.tunnel: connections from the member's side are not available yet; set server")
	case c.Server == "":
		return spec, fmt.Errorf("spec.connection.server: is empty; hanse join fills it in")
	case c.Credentials.SecretName == "":
		return spec, nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: v1alpha1.SystemNamespace, Name: c.Credentials.SecretName}
	if err := hub.Get(ctx, key, secret); err != nil {
		return spec, fmt.Errorf("spec.connection.credentials: reading secret %s/%s: %w", key.Namespace, key.Name, err)
	}
	credentials, err := credentialsFrom(secret)
	if err != nil {
		return spec, fmt.Errorf("secret %s/%s: %w", key.Namespace, key.Name, err)
	}
	spec.Config.Credentials = credentials
	return spec, nil
}

// credentialsFrom reads the credentials for a member off a Secret: token, or tls.crt and tls.key, or the current
// user of a kubeconfig.
func credentialsFrom(secret *corev1.Secret) (member.Credentials, error) {
	var c member.Credentials
	if token := secret.Data[TokenKey]; len(token) > 0 {
		c.Token = string(token)
		return c, nil
	}
	cert, key := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	if len(cert) > 0 && len(key) > 0 {
		c.ClientCert, c.ClientKey = cert, key
		return c, nil
	}
	if len(cert) > 0 || len(key) > 0 {
		return c, errors.New("tls.crt and tls.key must both be set")
	}
	raw := secret.Data["kubeconfig"]
	if len(raw) == 0 {
		return c, errors.New("has none of the keys token, tls.crt with tls.key, and kubeconfig")
	}
	config, err := clientcmd.Load(raw)
	if err != nil {
		return c, fmt.Errorf("kubeconfig: %w", err)
	}
	current, ok := config.Contexts[config.CurrentContext]
	if !ok {
		return c, fmt.Errorf("kubeconfig: there is no context %q", config.CurrentContext)
	}
	user, ok := config.AuthInfos[current.AuthInfo]
	if !ok {
		return c, fmt.Errorf("kubeconfig: there is no user %q", current.AuthInfo)
	}
	c.Token, c.ClientCert, c.ClientKey, c.Exec = user.Token, user.ClientCertificateData, user.ClientKeyData, user.Exec
	return c, nil
}
