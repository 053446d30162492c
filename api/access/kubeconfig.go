package access

import (
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// Superusers is the group whose members may do everything on the hub, whatever RBAC says.
	Superusers = "system:masters"

	kubeconfigName = "hanse"
)

// WriteAdminKubeconfig writes a kubeconfig for an administrator (user hanse-admin in system:masters) at path, mode
// 0600, with one context named "hanse" that points at serverURL. A file that still serves, being for the same server
// and authority and not past two thirds of its life, is left as it is: copies of it stay identical. The certificate
// lasts a year: a hub that may run longer without a restart calls this again from time to time.
func (p *PKI) WriteAdminKubeconfig(path, serverURL string) error {
	if p.stillServes(path, serverURL) {
		return nil
	}
	cert, key, err := p.IssueClient("hanse-admin", []string{Superusers}, adminLife)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	text, err := clientcmd.Write(Kubeconfig(serverURL, p.CABundle(), cert, key))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeSecretFile(path, text)
}

// Kubeconfig returns a kubeconfig with one context, named "hanse", for a client certificate.
func Kubeconfig(serverURL string, caBundle, certPEM, keyPEM []byte) clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	config.Clusters[kubeconfigName] = &clientcmdapi.Cluster{Server: serverURL, CertificateAuthorityData: caBundle}
	config.AuthInfos[kubeconfigName] = &clientcmdapi.AuthInfo{ClientCertificateData: certPEM, ClientKeyData: keyPEM}
	config.Contexts[kubeconfigName] = &clientcmdapi.Context{Cluster: kubeconfigName, AuthInfo: kubeconfigName}
	config.CurrentContext = kubeconfigName
	return *config
}

// stillServes reports whether the kubeconfig at path was made by this authority for serverURL and has a third of its
// life left. Whatever cannot be read does not serve: this file is made from the authority and can always be made anew.
func (p *PKI) stillServes(path, serverURL string) bool {
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		return false
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return false
	}
	cluster, user := config.Clusters[kubeconfigName], config.AuthInfos[kubeconfigName]
	if cluster == nil || user == nil || config.CurrentContext != kubeconfigName {
		return false
	}
	if cluster.Server != serverURL || string(cluster.CertificateAuthorityData) != string(p.CABundle()) {
		return false
	}
	return p.validFor(user.ClientCertificateData, user.ClientKeyData, adminLife/3)
}

// validFor reports whether the certificate is ours, fits the key, is valid now and for as long as asked.
func (p *PKI) validFor(certPEM, keyPEM []byte, remaining time.Duration) bool {
	id, err := parseIdentity("kubeconfig", append(append([]byte{}, certPEM...), keyPEM...))
	if err != nil {
		return false
	}
	options, _ := p.VerifyOptions()
	if _, err := id.cert.Verify(options); err != nil {
		return false
	}
	return p.now().Add(remaining).Before(id.cert.NotAfter)
}
