package membership

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-federation/hanse/federation/enroll"
	"github.com/hanse-federation/hanse/federation/member"
)

// credentialsFrom reads the credentials for a member off a Secret: token, or tls.crt and tls.key, or the current
// user of a kubeconfig.
func credentialsFrom(secret *corev1.Secret) (member.Credentials, error) {
	var c member.Credentials
	if token := secret.Data[enroll.TokenKey]; len(token) > 0 {
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
