package enroll

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

const kubeconfig = `
current-context: east
contexts: [{name: east, context: {cluster: east, user: admin}}, {name: lost, context: {cluster: east, user: nobody}}]
users:
- {name: admin, user: {token: t0ken}}
- {name: command, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: login, interactiveMode: Never}}}
`

func TestCredentialsFrom(t *testing.T) {
	for _, c := range []struct {
		what string
		data map[string]string
		want string
	}{
		{"a token", map[string]string{"token": "abc"}, "token abc"},
		{"a token comes first", map[string]string{"token": "abc", "kubeconfig": kubeconfig}, "token abc"},
		{"a certificate", map[string]string{"tls.crt": "C", "tls.key": "K"}, "certificate C K"},
		{"half a certificate", map[string]string{"tls.crt": "C"}, "error: tls.crt and tls.key must both be set"},
		{"the other half", map[string]string{"tls.key": "K", "kubeconfig": kubeconfig},
			"error: tls.crt and tls.key must both be set"},
		{"a kubeconfig", map[string]string{"kubeconfig": kubeconfig}, "token t0ken"},
		{"with a command", map[string]string{"kubeconfig": strings.Replace(kubeconfig, "user: admin", "user: command", 1)},
			"command login"},
		{"without the context", map[string]string{"kubeconfig": strings.Replace(kubeconfig, "current-context: east",
			"current-context: west", 1)}, `error: kubeconfig: there is no context "west"`},
		{"without the user", map[string]string{"kubeconfig": strings.Replace(kubeconfig, "current-context: east",
			"current-context: lost", 1)}, `error: kubeconfig: there is no user "nobody"`},
		{"nothing", nil, "error: has none of the keys token, tls.crt with tls.key, and kubeconfig"},
		{"an empty token", map[string]string{"token": ""},
			"error: has none of the keys token, tls.crt with tls.key, and kubeconfig"},
	} {
		secret := &corev1.Secret{Data: map[string][]byte{}}
		for key, value := range c.data {
			secret.Data[key] = []byte(value)
		}
		credentials, err := credentialsFrom(secret)
		var got string
		switch {
		case err != nil:
			got = "error: " + err.Error()
		case credentials.Exec != nil:
			got = "command " + credentials.Exec.Command
		case credentials.Token != "":
			got = "token " + credentials.Token
		default:
			got = fmt.Sprintf("certificate %s %s", credentials.ClientCert, credentials.ClientKey)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	_, err := credentialsFrom(&corev1.Secret{Data: map[string][]byte{"kubeconfig": []byte("{password: s3cret")}})
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a kubeconfig that is none: %v, which may tell nothing of it", err)
	}
}
